"""`python -m digits_project`: the program `digits`, in a clone."""

from digits_project.command_line import main

if __name__ == "__main__":  # spawned pools import this file again and must not become a second command
    main()
