// Sends a request for each URL of standard input with the document's text, as ./forwarding.mjs. Names of the mesh lead to the
// first address of the arguments, all others to the second.
import dns from 'node:dns';
import http from 'node:http';
import readline from 'node:readline';
import { meshFetch, remember, withIdentity } from './forwarding.mjs';

const [inside, outside] = process.argv.slice(2);
dns.lookup = (name, options, callback) => {
  const address = /^[a-z0-9.-]+\.svc\.cluster\.local$/i.test(name) ? inside : outside;
  callback(null, ...(options.all ? [[{ address, family: 4 }]] : [address, 4]));
};

const clients = {
  fetch: async (url, headers) => { await (await meshFetch(url, { headers })).text(); },
  http: (url, headers) => new Promise((resolve, reject) => {
    http.get(url, { headers: withIdentity(url, headers), agent: false, timeout: 20000 }, (response) => {
      response.resume().on('end', resolve);
    }).on('error', reject);
  }),
};

const run = remember(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { url, headers } = JSON.parse(line);
    for (const [client, send] of Object.entries(clients)) {
      try {
        await send(url, { ...headers, 'X-Client': client });
      } catch (error) { // most of these URLs are none to most clients
        console.log(client, JSON.stringify(url), String(error), error.cause ?? '');
      }
    }
  }
});
await run({ headersDistinct: { 'txn-token': ['a.b.c'] } });
