# Hooks of schemathesis: signs requests by docs/protocol.md, here written a second time in another language, and puts names
# of things that exist into two of three requests, so that they come beyond the checks of form.
# PRETEXT_TEST_WORLD is JSON: task, seed, token, manifest, blob, model, vote, operator.
import base64
import hashlib
import itertools
import json
import os
import time

import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

WORLD = json.loads(os.environ["PRETEXT_TEST_WORLD"])
KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(WORLD["seed"]))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
CLIENT = hashlib.sha256(PUBLIC).hexdigest()
COUNT = itertools.count()


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def sign(request):
    body = request.body or b""
    if isinstance(body, str):
        body = body.encode()
    moment = int(time.time() * 1000)
    nonce = base64url(os.urandom(16))
    body_hash = hashlib.sha256(body).hexdigest()
    lines = ["pretext-federation/2", WORLD["task"], request.method, request.path_url, body_hash, str(moment), nonce]
    signature = base64url(KEY.sign("\n".join(lines).encode()))
    request.headers["Pretext-Body"] = body_hash
    request.headers["Authorization"] = f"Pretext client={CLIENT},time={moment},nonce={nonce},signature={signature}"
    return request


SIGNED = ["enrol", "takeSeat", "vote"]
schemathesis.auth.set_from_requests(sign).apply_to(operation_id=SIGNED)


@schemathesis.auth().apply_to(operation_id="operate")
class Operator:
    def get(self, case, context):
        return WORLD["operator"]

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


KNOWN = {"blob": ("sha256", "blob"), "modelFile": ("sha256", "model")}


@schemathesis.hook
def before_call(context, case, kwargs):
    name = case.operation.definition.raw["operationId"]
    positive = case.meta is None or case.meta.generation.mode.is_positive
    if not positive or next(COUNT) % 3 == 0:
        return
    if name in KNOWN:
        parameter, value = KNOWN[name]
        case.path_parameters[parameter] = WORLD[value]
    elif name in ("roundState", "takeSeat", "vote"):
        case.path_parameters["manifest"] = WORLD["manifest"]
    if name == "enrol":
        case.body = {"token": WORLD["token"], "publicKey": base64url(PUBLIC)}
    if name == "vote" and next(COUNT) % 2 == 0:
        case.body = base64.b64decode(WORLD["vote"])
