"""`msgin5g start`: the nodes of a folder of settings, together on this computer."""
