"""How much one client may have of what all clients share."""


def leaves_room(held: int, free: int, share: float) -> bool:
    """Returns whether a client may have more: while it has less than its share of what the others leave to it.

    So one client alone gets that share of all, several get less each, and something is left for one more: with 0.8,
    80 % for one, 44 % for each of two, 31 % for each of three. Nobody has to be counted, nothing that was admitted is
    refused later, and a client that has nothing is refused only where nothing is free. (Choudhury and Hahne, "Dynamic
    Queue Length Thresholds for Shared-Memory Packet Switches", 1998.)

    Args:
        held: What the client has.
        free: What nobody has.
        share: Above 0; 1 for all that others leave.
    """
    return held < (held + free) * share
