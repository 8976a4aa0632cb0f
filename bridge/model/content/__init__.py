"""From the fields of a Vault version to the bytes of a Docker secret; which rules, ``Content`` has.

::

    fields of a version (JSON)
        |
        |- raw       one field ------- fields.text_of -- decode (base64, base64url)
        |- json      all fields, on one line
        |- dotenv    all fields, a line each ------------ dotenv.dotenv
        |- template  jinja2, in a sandbox --------------- template.fill
        v
    payload.render -- trailing_newline -- 1 to 511,999 bytes -- Concealed

What does not fit is a ``ContentRefused``, with names of fields and no byte of a value (I6). Nothing
is repaired or guessed: a credential that two readers take differently fails in production.
"""
