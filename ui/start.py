"""Starts Streamlit without its calls to the internet: `python -m ui.start run ui/app.py …`.

On a wildcard address, and for every browser origin that it does not know, Streamlit asks a public
host for this machine's address. Here the answer is the loopback address, and nobody is asked.
"""

from streamlit import net_util

LOOPBACK = "127.0.0.1"


def own_address() -> str:
    """What Streamlit may believe its external and internal address to be."""
    return LOOPBACK


net_util.get_external_ip = own_address
net_util.get_internal_ip = own_address

if __name__ == "__main__":
    from streamlit.web.cli import main

    main(prog_name="streamlit")
