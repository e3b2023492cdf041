/** What `lib/ledger.js` adds to the addon's ledger; never public. */

import type { RecordCalls } from './lib/ledger.js';

declare module './binding.js' {
  interface Ledger extends RecordCalls {}
}
