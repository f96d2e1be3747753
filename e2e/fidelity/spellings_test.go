package fidelity_test

// spelling is one way to write a path.
type spelling struct {
	sent    string
	seen    string // by the Check, and by the workload alike; empty: Envoy answers 400
	refused bool   // by us, as ambiguous, whatever the rules are
}

// spellings are what known attacks and misreadings used, and their harmless
// neighbours. Envoy as Istio sets it up resolves dot segments, decodes
// unreserved characters, turns "\" into "/" and cuts a fragment off; it leaves
// encoded slashes, doubled slashes and parameters as they are (pathNormalization
// BASE). What it leaves and a server may read in another way, we refuse.
var spellings = []spelling{
	// Harmless.
	{"/", "/", false},
	{"/a/b", "/a/b", false},
	{"/A", "/A", false},
	{"/a/", "/a/", false},
	{"/a.b", "/a.b", false},
	{"/a..", "/a..", false},
	{"/...", "/...", false},
	{"/*", "/*", false},
	{"/a:b@c", "/a:b@c", false},
	{"/a+b,c", "/a+b,c", false},
	{"/a%20b", "/a%20b", false},
	{"/%C3%A4", "/%C3%A4", false},
	{"/a%3B", "/a%3B", false},
	{"/a%3b", "/a%3b", false},
	{"/a%23b", "/a%23b", false},
	{"/a%3fb", "/a%3fb", false},
	{"/a?b=/../%2f;%00", "/a?b=/../%2f;%00", false},
	{"/?/..", "/?/..", false},
	{"/http:/a", "/http:/a", false},
	// Envoy makes them harmless.
	{"/a/.", "/a/", false},
	{"/a/./b", "/a/b", false},
	{"/a/..", "/", false},
	{"/a/../b", "/b", false},
	{"/../b", "/b", false},
	{"/%2e%2e/b", "/b", false},
	{"/a/.%2E/b", "/b", false},
	{"/a/%2e/b", "/a/b", false},
	{"/a/..;x=y/b", "/b", false},
	{"/.;/a", "/a", false},
	{`/a\b`, "/a/b", false},
	{`/a\..\b`, "/b", false},
	{"/%41%7e%2d", "/A~-", false},
	{"/a#b", "/a", false},
	{"/a?b#c", "/a?b", false},
	{"/a/../b#/../c", "/b", false},
	{`/a"b`, "/a%22b", false},
	{"/a<b>", "/a%3Cb%3E", false},
	{"/a{b}|^`", "/a%7Bb%7D%7C%5E%60", false},
	{"http://other.example", "/", false},
	{"http://other.example/a/../b?c", "/b?c", false},
	{"HTTPS://other.example/a", "/a", false},
	// Envoy leaves them, and we refuse them.
	{"/a%2fb", "/a%2fb", true},
	{"/a%2Fb", "/a%2Fb", true},
	{"/a/..%2fb", "/a/..%2fb", true},
	{"/a/%2e%2e%2fb", "/a/..%2fb", true},
	{"/a%5cb", "/a%5cb", true},
	{"/a%5Cb", "/a%5Cb", true},
	{"/a%25b", "/a%25b", true},
	{"/a%252e%252e/b", "/a%252e%252e/b", true},
	{"//a", "//a", true},
	{"/a//b", "/a//b", true},
	{"/a//", "/a//", true},
	{`/\a`, "//a", true},
	{"/a;b", "/a;b", true},
	{"/a;x=1/b", "/a;x=1/b", true},
	{"/a%01", "/a%01", true},
	{"/a%0a", "/a%0a", true},
	{"/a%0d%0ab", "/a%0d%0ab", true},
	{"/a%7f", "/a%7f", true},
	{"/a%", "/a%", true},
	{"/a%4", "/a%4", true},
	{"/a%zz", "/a%zz", true},
	{"/a%u002f", "/a%u002f", true},
	{"/a%c0%af", "/a%c0%af", true},
	{"/%e0%80%af", "/%e0%80%af", true},
	{"/a%ff", "/a%ff", true},
	{"/a[b]", "/a[b]", true},
	{"//other.example/a", "//other.example/a", true},
	{"http://other.example//a", "//a", true},
	// Envoy refuses them.
	{"/a%00", "", false},
	{"/a%00b", "", false},
	{"/a\x00b", "", false},
	{"/a\x01b", "", false},
	{"/a\x7fb", "", false},
	{"/a\tb", "", false},
	{"/a\xffb", "", false},
	{"/ä", "", false},
	{"a", "", false},
	{"*", "", false},
	{"?a", "", false},
	{"#a", "", false},
	{`\a`, "", false},
	{"ftp://other.example/a", "", false},
}
