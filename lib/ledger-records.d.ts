/** What `lib/ledger.js` adds to the addon's ledger. */

import type { RecordCalls } from './ledger.js';

declare module '../binding.js' {
  interface Ledger extends RecordCalls {}
}
