"""What a board runs at start: the role that settings.json names, and app.py beside it."""

from msgin5g.main import main

main(application="app")
