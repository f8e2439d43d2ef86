"""Host tools of the MSGin5G firmware; `msgin5g --help` lists the commands."""
