"""A small OpenID Connect provider on loopback: it logs in the user that the test sets, and checks each request."""

import hashlib
import json
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "digits", "client secret"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """`claims` belong to the next user who logs in; `token` overrides claims of the ID token; `error` is an OAuth error
    that the next login returns."""

    def __init__(self):
        self.claims = {"sub": "4711", "preferred_username": "ada", "email": "ada@example.org", "groups": []}
        self.token = {}
        self.key = KEY
        self.error = ""
        self.requests = {}  # {code: parameters of the authorization request}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def log_in(self, address):
        """Log in at this authorization address, as a browser does; return the address of the redirect back."""
        request = dict(parse_qsl(urlsplit(address).query))
        assert (request["response_type"], request["client_id"]) == ("code", CLIENT)
        assert request["code_challenge_method"] == "S256"
        parameters = {"state": request["state"]}
        if self.error:
            return f"{request['redirect_uri']}?{urlencode(parameters | {'error': self.error})}"
        code = secrets.token_urlsafe()
        self.requests[code] = request
        return f"{request['redirect_uri']}?{urlencode(parameters | {'code': code})}"

    def discovery(self, form, headers):
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo"}
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"} | {
            name: f"{self.issuer}/{path}" for name, path in names.items()
        }

    def jwks(self, form, headers):
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
        return {"keys": [public | {"kid": "1", "alg": "RS256", "use": "sig"}]}

    def tokens(self, form, headers):
        request = self.requests.pop(form["code"])  # a code is valid once
        proof = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        assert (proof, form["redirect_uri"]) == (request["code_challenge"], request["redirect_uri"])
        assert (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": self.claims["sub"], "nonce": request["nonce"]}
        claims |= {"iat": int(time.time()), "exp": int(time.time()) + 60} | self.token
        signed = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "1"})
        return {"access_token": "opens userinfo", "token_type": "Bearer", "id_token": signed}

    def userinfo(self, form, headers):
        assert headers["Authorization"] == "Bearer opens userinfo"
        return self.claims

    def _handler(provider):
        routes = {
            "/.well-known/openid-configuration": provider.discovery,
            "/jwks": provider.jwks,
            "/token": provider.tokens,
            "/userinfo": provider.userinfo,
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                content = json.dumps(routes[urlsplit(self.path).path](form, self.headers)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *words):
                """Keep requests out of standard error."""

        return Handler
