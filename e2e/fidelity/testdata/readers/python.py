"""Answers with the path that each of Python's ways to read one gives: NAME, a tab, the path, a line each."""
import http.server
import os
import urllib.parse


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        lines = ["python http.server\t" + self.static(), "python WSGI\t" + self.wsgi(), "python WSGI, parsed again\t" + urllib.parse.urlsplit(self.wsgi()).path]
        body = ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def static(self):
        """The file that http.server would send, below its folder."""
        return self.translate_path(self.path)[len(os.getcwd().rstrip("/")):]

    def wsgi(self):
        """PATH_INFO of PEP 3333 as wsgiref makes it, in UTF-8."""
        path = self.path.split("?", 1)[0]
        return urllib.parse.unquote(path, "iso-8859-1").encode("iso-8859-1").decode("utf-8", "surrogateescape")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.77.0.22", 8080), Handler).serve_forever()
