"""``python -m tickonce`` is the command ``tickonce``."""

from tickonce.cli import main

if __name__ == "__main__":
    main()
