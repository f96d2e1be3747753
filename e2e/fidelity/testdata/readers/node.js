// Answers with the path that each of Node's ways to read one gives: NAME, a tab, the path, a line each.
const http = require('http'), url = require('url')
const ways = {
  'node': target => decodeURIComponent(target.split('?')[0]),
  'node URL': target => decodeURIComponent(new URL(target, 'http://x').pathname),
  'node url.parse': target => decodeURIComponent(url.parse(target).pathname),
  'node, decoded first': target => decodeURIComponent(new URL(decodeURIComponent(target), 'http://x').pathname),
}
http.createServer((request, response) => {
  const lines = []
  for (const [name, read] of Object.entries(ways)) {
    try { lines.push(name + '\t' + read(request.url)) } catch { /* it refuses the path */ }
  }
  response.end(lines.join('\n') + '\n')
}).listen(8080, '127.77.0.21')
