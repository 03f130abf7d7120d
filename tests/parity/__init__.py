"""Comparison with recorded outputs of the published implementation, quantity by quantity."""

from parity.run import ParityReport, check_parity

__all__ = ['ParityReport', 'check_parity']
