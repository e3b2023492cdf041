/** What `lib/load_binding.js` requires, wherever it lies; never public. */

declare module '*.node' {
  const binding: typeof import('./binding.js');
  export = binding;
}

declare module '@whatsapp-uploader/database-*' {
  const binding: typeof import('./binding.js');
  export = binding;
}
