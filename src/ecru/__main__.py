"""``python -m ecru``."""

from ecru.cli import main

if __name__ == "__main__":
    main()
