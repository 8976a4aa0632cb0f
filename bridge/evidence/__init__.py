"""Evidence: a record of each act, in a chain that shows when one was changed or is missing.

Nothing here decides. ``acts`` makes records of what was done, ``chain`` links and verifies them,
``auditor`` writes them beside the cycle's actions, ``signatures`` has Vault sign the chain, and
``reading`` and ``audit_page`` serve ``vault-bridge evidence``.
"""
