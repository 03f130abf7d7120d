"""Serve a web page that searches a gallery: python tools/demo.py GALLERY."""

from diffusionret_mm.commands.demo import main

if __name__ == '__main__':
    main()
