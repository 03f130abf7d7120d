"""Search a gallery: python tools/search.py GALLERY "a sentence"."""

from diffusionret_mm.commands.search import main

if __name__ == '__main__':
    main()
