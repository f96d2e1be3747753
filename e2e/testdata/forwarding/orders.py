# The demo's service orders, with the document's text as forwarding.py.
import argparse
import datetime
import json
import re
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import forwarding

parser = argparse.ArgumentParser()
for name in ("listen", "inventory", "proxy"):
    parser.add_argument("-" + name)
args = parser.parse_args()
upstream = urllib.request.build_opener(urllib.request.ProxyHandler({"http": args.proxy}), forwarding.Forward)


class Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        forwarding.remember(self.headers.get_all("Txn-Token") or [])
        request_id = self.headers["X-Request-Id"]
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        print(json.dumps({"time": now, "service": "orders", "request_id": request_id}), flush=True)
        tenant, order = re.fullmatch("/tenants/([^/]+)/orders/([^/]+)", self.path).groups()
        url = f"{args.inventory}/tenants/{tenant}/items/{order}"
        with upstream.open(urllib.request.Request(url, headers={"X-Request-Id": request_id})) as answer:
            item = json.load(answer)
        body = json.dumps({"tenant": tenant, "order": order, "item": item}).encode()
        self.send_response(200)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), "X-Served-By": "orders", "X-Saw-Identity-Headers": "none"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


host, port = args.listen.split(":")
ThreadingHTTPServer((host, int(port)), Orders).serve_forever()
