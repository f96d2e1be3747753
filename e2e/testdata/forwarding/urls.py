# Sends a request for each URL of standard input with the document's text, as forwarding.py and forwarding_requests.py.
# Names of the mesh lead to the first address of the arguments, all others to the second.
import json
import re
import socket
import sys
import urllib.request

import forwarding
import forwarding_requests

inside, outside = sys.argv[1:]
real = socket.getaddrinfo


def resolve(host, port, *rest, **named):
    name = host.decode() if isinstance(host, bytes) else host
    if not re.fullmatch(r"127\.0\.0\.\d+", name):
        name = inside if re.fullmatch(r"[a-z0-9.-]+\.svc\.cluster\.local", name, re.IGNORECASE) else outside
    return real(name, port, *rest, **named)


socket.getaddrinfo = resolve
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), forwarding.Forward)
session = forwarding_requests.session()
session.trust_env = False


def with_urllib(url, headers):
    with opener.open(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        answer.read()


def with_requests(url, headers):
    session.get(url, headers=headers, timeout=20)


forwarding.remember(["a.b.c"])
for line in sys.stdin:
    case = json.loads(line)
    for client, send in {"urllib": with_urllib, "requests": with_requests}.items():
        try:
            send(case["url"], {**case["headers"], "X-Client": client})
        except Exception as error:  # most of these URLs are none to most clients
            print(client, repr(case["url"]), type(error).__name__, error)
