"""Containers of a macvlan network go off the air with their parent, and come back with it by themselves.

red, Docker host                                 switch
  one 192.0.2.11 ┬ macvlan                       │
  two 192.0.2.12 ┴ card0 ═══════════ to-red ─────┼ to-peer ═══ eth0 192.0.2.21 peer
                                                 └ to-third ══ eth0 192.0.2.22 third
"""
