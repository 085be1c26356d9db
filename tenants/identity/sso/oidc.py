"""OpenID Connect: authorization code with PKCE, state and nonce; the ID token is verified here.

Built on PyJWT and the guarded client rather than on django-allauth's provider: that one sends no nonce,
believes an ID token for the channel it came by without looking at its signature, asks addresses that a
tenant names without a guard, and keeps applications and subjects in tables without an organization.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import jwt

from kernel.egress import destinations
from tenants.identity.models import IdentityProvider
from tenants.identity.sso import addresses, outgoing
from tenants.identity.sso.assertions import Asserted, first_word, words
from tenants.identity.sso.errors import ProviderUnusable, refused

DISCOVERY = "/.well-known/openid-configuration"
SCOPE = "openid email profile"
# Signatures by the provider's public keys only: no 'none', and no HMAC that a public key could be used for.
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
CLOCK_SKEW_SECONDS = 60
# Google serves everybody under one issuer; only this claim says that the account is the organization's.
HOSTED_DOMAIN = {"https://accounts.google.com": "hd"}


@dataclass(frozen=True)
class Endpoints:
    """What the provider publishes of itself."""

    issuer: str
    authorization: str
    token: str
    keys: str
    userinfo: str
    secret_in_body: bool


@dataclass(frozen=True)
class Departure:
    """Where the browser goes, and what must come back with it."""

    url: str
    state: str
    nonce: str
    verifier: str


def discover(issuer: str) -> Endpoints:
    """What the issuer publishes, checked. Raises `EgressFault`, `ProviderUnusable`."""
    found = outgoing.read_json(issuer.rstrip("/") + DISCOVERY)
    if found.get("issuer") != issuer:
        raise ProviderUnusable(
            f"The provider calls itself '{str(found.get('issuer'))[:200]}' and not '{issuer}'; both must be "
            "the same to the letter."
        )
    methods = words(found.get("token_endpoint_auth_methods_supported"))
    return Endpoints(
        issuer=issuer,
        authorization=_address(found, "authorization_endpoint"),
        token=_address(found, "token_endpoint"),
        keys=_address(found, "jwks_uri"),
        userinfo=_address(found, "userinfo_endpoint") if "userinfo_endpoint" in found else "",
        secret_in_body="client_secret_post" in methods and "client_secret_basic" not in methods,
    )


def signing_keys(endpoints: Endpoints) -> list[dict[str, Any]]:
    """The provider's public keys. They are read anew each time, so that a changed key is at once believed."""
    found = outgoing.read_json(endpoints.keys).get("keys")
    keys = [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []
    public = [key for key in keys if key.get("kty") in {"RSA", "EC", "OKP"} and key.get("use") != "enc"]
    if not public:
        raise ProviderUnusable("The provider publishes no public key to verify its signatures with.")
    return public


def depart(provider: IdentityProvider, email: str, *, fresh: bool) -> Departure:
    """Begin a sign-in; `fresh` asks the provider to see the person again, whatever it remembers.

    Raises `EgressFault`, `ProviderUnusable`.
    """
    endpoints = discover(provider.issuer)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": addresses.callback(provider),
        "scope": SCOPE,
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"login_hint": email} if email else {}),
        **({"prompt": "login"} if fresh else {}),
    }
    joint = "&" if "?" in endpoints.authorization else "?"
    return Departure(f"{endpoints.authorization}{joint}{urlencode(query)}", state, nonce, verifier)


def arrive(provider: IdentityProvider, *, code: str, nonce: str, verifier: str) -> Asserted:
    """Exchange the code and verify what comes. Raises `SignInRefused`, `EgressFault`, `ProviderUnusable`."""
    endpoints = discover(provider.issuer)
    tokens = _exchange(provider, endpoints, code, verifier)
    claims = verify(provider, signing_keys(endpoints), str(tokens.get("id_token", "")), nonce)
    if not claims.get(_names(provider)["email"]) and endpoints.userinfo:
        told = {name: value for name, value in claims.items() if value not in ("", None)}
        claims = {**_userinfo(endpoints, tokens, claims["sub"]), **told}
    return _asserted(provider, claims)


def verify(provider: IdentityProvider, keys: list[dict[str, Any]], token: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token that holds. Raises `SignInRefused` with the failed check's code."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key_for(token, keys),
            algorithms=sorted(ALGORITHMS),
            audience=provider.client_id,
            issuer=provider.issuer,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": ["exp", "iat", "iss", "aud", "sub"]},
        )
    except jwt.ExpiredSignatureError:
        raise refused("sso_expired", "The sign-in took too long. Begin again.") from None
    except jwt.InvalidAudienceError:
        raise refused("sso_wrong_audience") from None
    except jwt.InvalidIssuerError:
        raise refused("sso_wrong_issuer") from None
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        # The last three come of keys that are not what they say they are.
        raise refused("sso_bad_signature") from None
    if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise refused("sso_wrong_nonce")
    many = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (many or "azp" in claims) and claims.get("azp") != provider.client_id:
        raise refused("sso_wrong_audience")
    return claims


def _key_for(token: str, keys: list[dict[str, Any]]) -> jwt.PyJWK:
    header = jwt.get_unverified_header(token)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise refused("sso_bad_signature")
    named = [key for key in keys if key_id is None or key.get("kid") == key_id]
    fitting = [key for key in named if key.get("alg", algorithm) == algorithm]
    if len(fitting) != 1:
        raise refused("sso_unknown_key")
    return jwt.PyJWK(fitting[0], algorithm=algorithm)


def _exchange(provider: IdentityProvider, endpoints: Endpoints, code: str, verifier: str) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": addresses.callback(provider),
        "code_verifier": verifier,
    }
    secret = provider.client_secret
    headers = {}
    if not secret:
        form["client_id"] = provider.client_id
    elif endpoints.secret_in_body:
        form |= {"client_id": provider.client_id, "client_secret": secret}
    else:
        pair = f"{quote(provider.client_id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return outgoing.post_form(endpoints.token, form, headers=headers)


def _userinfo(endpoints: Endpoints, tokens: dict[str, Any], subject: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
    found = outgoing.read_json(endpoints.userinfo, headers=headers)
    if found.get("sub") != subject:
        raise refused("sso_wrong_subject")
    return found


def _asserted(provider: IdentityProvider, claims: dict[str, Any]) -> Asserted:
    names = _names(provider)
    email = first_word(claims, [names["email"]])
    if claims.get("email_verified") is False:
        raise refused("sso_email_unverified", "Your identity provider has not verified your address.")
    _require_claims(provider, claims, email)
    return Asserted(
        subject=str(claims["sub"]),
        email=email,
        name=first_word(claims, [names["name"]]),
        groups=words(claims.get(names["groups"])),
    )


def _require_claims(provider: IdentityProvider, claims: dict[str, Any], email: str) -> None:
    required = dict(provider.required_claims)
    if hosted := HOSTED_DOMAIN.get(provider.issuer):
        required.setdefault(hosted, email.rpartition("@")[2].lower())
    if any(str(claims.get(name)) != str(value) for name, value in required.items()):
        raise refused(
            "sso_claim_missing", "Your account at the identity provider is not your organization's."
        )


def _names(provider: IdentityProvider) -> dict[str, str]:
    return {"email": "email", "name": "name", "groups": "groups", **provider.attributes}


def _address(found: dict[str, Any], name: str) -> str:
    url = found.get(name)
    if not isinstance(url, str):
        raise ProviderUnusable(f"The provider's description names no '{name}'.")
    destinations.parse(url)
    return url
