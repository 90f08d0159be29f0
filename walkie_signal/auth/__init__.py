"""Who speaks, by a token that somebody else has signed (RFC 7519). The extra ``jwt`` brings what this needs.

    tokens    reading a token: what it must be like, and verifying it with a key
    keys      the keys to verify with: a secret, a public key, or a set of keys
    remote    a set of keys that another server publishes
    signing   signing one, as its issuer does
    claims    what a token's claims say of a peer
    jwt       `JWTAuth`, which is made of these

There is one rule for this folder: whatever is wrong with a token, its sender hears the same, and the log gets the
reason; no text of ours quotes a token.
"""
