// The demo's service orders, with the document's text as ./forwarding.mjs.
import http from 'node:http';
import { parseArgs } from 'node:util';
import { remember, withIdentity } from './forwarding.mjs';

const options = Object.fromEntries(['listen', 'inventory', 'proxy'].map((name) => [name, { type: 'string' }]));
const args = process.argv.slice(2).map((arg) => arg.replace(/^-(\w)/, '--$1'));
const { listen, inventory, proxy } = parseArgs({ args, options }).values;

// A request through an HTTP proxy: to the proxy, with the whole URL as its target.
function get(url, headers) {
  const { hostname, port } = new URL(proxy);
  return new Promise((resolve, reject) => {
    http.get({ hostname, port, path: url, headers: { Host: new URL(url).host, ...headers } }, (response) => {
      let body = '';
      response.on('data', (chunk) => { body += chunk; });
      response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(body) }));
    }).on('error', reject);
  });
}

async function serve(request, response) {
  const requestID = request.headers['x-request-id'];
  console.log(JSON.stringify({ time: new Date().toISOString(), service: 'orders', request_id: requestID }));
  const [, tenant, order] = request.url.match(/^\/tenants\/([^/]+)\/orders\/([^/]+)$/);
  const url = `${inventory}/tenants/${tenant}/items/${order}`;
  const item = await get(url, withIdentity(url, { 'X-Request-Id': requestID }));
  response.writeHead(item.status, { 'Content-Type': 'application/json', 'X-Served-By': 'orders', 'X-Saw-Identity-Headers': 'none' });
  response.end(JSON.stringify({ tenant, order, item: item.body }));
}

const [host, port] = listen.split(':');
http.createServer(remember(serve)).listen(port, host);
