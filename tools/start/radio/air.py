"""The air between the nodes of one computer, for `network` and `espnow` beside this file.

name: of the air; nodes with the same one are in range. folder: what is on the air in Wi-Fi. mac:
of this node.
"""

name = folder = ""
mac = b""
