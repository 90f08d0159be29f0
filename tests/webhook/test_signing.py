"""A request is signed so that the library of Standard Webhooks takes it, and nothing else."""

from __future__ import annotations

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from support.receiver import OTHER, PREVIOUS, SECRET
from walkie_signal.webhook.signing import key_of, signed

BODY = '{"events":[{"data":{"room":"門"}}]}'.encode()


def verifies(secret: str, headers: dict[str, str], body: bytes = BODY) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_the_library_takes_it_with_the_right_secret_body_id_and_time_only() -> None:
    headers = signed([key_of(SECRET)], "a-1", time.time(), BODY)
    assert verifies(SECRET, headers)
    assert not verifies(OTHER, headers)
    assert not verifies(SECRET, headers, BODY + b" ")
    assert not verifies(SECRET, {**headers, "webhook-id": "a-2"})
    assert not verifies(SECRET, {**headers, "webhook-timestamp": str(int(time.time()) - 1)})
    assert not verifies(SECRET, signed([key_of(SECRET)], "a-1", time.time() - 400, BODY)), (
        "an old one was repeated"
    )


def test_it_is_signed_with_each_key() -> None:
    headers = signed([key_of(SECRET), key_of(PREVIOUS)], "a-1", time.time(), BODY)
    assert verifies(SECRET, headers)
    assert verifies(PREVIOUS, headers)
    assert not verifies(OTHER, headers)


def test_a_signature_is_the_one_of_the_specification() -> None:
    """From the tests of its libraries: the same secret, id, time and body give the same text."""
    key = key_of("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_may_have_its_prefix_or_not() -> None:
    assert key_of(SECRET) == key_of(SECRET.removeprefix("whsec_")) == b"secret" * 5


@pytest.mark.parametrize("secret", ["", "whsec_", "not base64!", "s3cret00", "AAAA" * 22, "geheimnis-mit-ß"])
def test_a_secret_that_will_not_do_is_not_quoted(secret: str) -> None:
    with pytest.raises(ValueError, match="the secret") as refused:
        key_of(secret)
    assert not secret or secret not in str(refused.value)
