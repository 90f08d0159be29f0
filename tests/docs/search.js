// Asks the search of a built site, as its pages do: prints what each query finds, as an object of lists of places.
//   node search.js SITE QUERY...
'use strict';
const fs = require('fs');
const path = require('path');
const vm = require('vm');

const [site, ...queries] = process.argv.slice(2);
const folder = path.join(site, 'assets/javascripts/workers');
const [worker] = fs.readdirSync(folder).filter(name => /^search\..*\.js$/.test(name));
const { config, docs } = JSON.parse(fs.readFileSync(path.join(site, 'search/search_index.json'), 'utf8'));
const [SETUP, QUERY] = [0, 2]; // the kinds of messages that the theme's pages send to their worker

let answer;
const listeners = [];
const self = {
  addEventListener: (_, listener) => listeners.push(listener),
  postMessage: message => answer(message),
  location: { href: 'http://127.0.0.1/' },
  importScripts() {},
  console,
};
self.self = self;
vm.runInNewContext(fs.readFileSync(path.join(folder, worker), 'utf8'), self);

const ask = data =>
  new Promise(resolve => {
    answer = resolve;
    for (const listener of listeners) listener({ data });
  });

(async () => {
  await ask({ type: SETUP, data: { config, docs, options: { suggest: false } } });
  const found = {};
  for (const query of queries) {
    const { data } = await ask({ type: QUERY, data: query });
    found[query] = data.items.flat().map(({ location }) => location);
  }
  process.stdout.write(JSON.stringify(found));
})();
