"""Evidence: a record of each act, in a chain that shows when one was changed or is missing.

Nothing here decides. ``acts`` makes records of what was done, ``chain`` links and verifies them
with ``branches``, ``auditor`` writes them between the cycle's actions, to a file by
``append_only``, and has Vault sign the chain. ``reading``, ``histories``, ``public_key`` and
``audit_page`` serve ``vault-bridge evidence``.
"""
