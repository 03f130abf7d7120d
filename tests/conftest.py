"""Loads the fixtures of all tests where tests run."""


def pytest_configure(config):
    """Leave the process out that only hands out tests: their imports take it seconds."""
    hands_out = config.getoption('numprocesses') and not hasattr(config, 'workerinput')
    if not hands_out:
        config.pluginmanager.import_plugin('shared_fixtures')
