"""What a board runs at start: the role that settings.json names."""

from msgin5g.main import main

main()
