"""Nouns: immutable values that the other packages exchange. No SDK, no clock, no I/O.

*Desired*, what the configuration asks for
    ``desired`` (secrets, services, rules), ``source`` (where in Vault a secret comes from),
    ``window``, ``settings`` (servers and logins)

*World*, what was seen
    ``world``: ``vault_view`` (paths, roles, leases) and ``swarm_view`` (``docker_secret``,
    ``service`` and its tasks, a ``fingerprint`` of the nodes); ``leadership`` (who leads)

*Versions*, and what the swarm remembers of each
    ``identity`` (which version it is), ``mirror`` (the Docker secret that holds it), its labels:
    ``roll_record``, ``set_aside``, ``blocked``, ``leased`` (the credential of a generation)

*State config*, what the swarm remembers besides
    ``wishes`` (what operators want), ``verdicts`` (what is refused)

*Plan*, what is decided
    ``plan``: ``actions`` (what is done, ``spec`` for changes of a service), ``conditions`` (what is
    held, and how all is doing), ``reasons`` (why)

*Memory*, what one cycle tells the next
    ``memory``

*Text*, how all this is written
    ``names`` and ``labels`` (of Docker objects), ``timestamps``, ``content`` (values), ``misread``
    and ``near`` (what a mistyped name may mean)
"""
