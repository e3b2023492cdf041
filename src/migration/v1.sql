CREATE TABLE upload_sessions (
  id TEXT PRIMARY KEY,
  chat_id TEXT NOT NULL,
  chat_name TEXT NOT NULL,
  start_time TIMESTAMP NOT NULL,
  last_update TIMESTAMP NOT NULL,
  total_files INTEGER NOT NULL,
  processed_files INTEGER DEFAULT 0,
  success_count INTEGER DEFAULT 0,
  error_count INTEGER DEFAULT 0,
  duplicate_count INTEGER DEFAULT 0,
  status TEXT DEFAULT 'running' CHECK (status IN ('running', 'completed', 'paused', 'failed')),
  last_processed_file TEXT,
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE file_hashes (
  hash TEXT PRIMARY KEY, -- SHA-256
  file_path TEXT NOT NULL,
  file_name TEXT NOT NULL,
  file_size INTEGER NOT NULL,
  mime_type TEXT NOT NULL,
  upload_service TEXT NOT NULL CHECK (upload_service IN ('photos', 'drive')),
  upload_id TEXT, -- Service-specific ID
  chat_id TEXT NOT NULL,
  uploaded_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE upload_errors (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL,
  file_path TEXT NOT NULL,
  error_type TEXT NOT NULL,
  error_message TEXT NOT NULL,
  retry_count INTEGER DEFAULT 0,
  timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  FOREIGN KEY (session_id) REFERENCES upload_sessions(id) ON DELETE CASCADE
);

CREATE TABLE config (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL, -- JSON string
  updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE schema_migrations (
  version INTEGER PRIMARY KEY,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  description TEXT
);

CREATE INDEX idx_upload_sessions_status ON upload_sessions(status);
CREATE INDEX idx_upload_sessions_chat_id ON upload_sessions(chat_id);
CREATE INDEX idx_file_hashes_chat_id ON file_hashes(chat_id);
CREATE INDEX idx_file_hashes_service ON file_hashes(upload_service);
CREATE INDEX idx_upload_errors_session_id ON upload_errors(session_id);
CREATE INDEX idx_upload_errors_timestamp ON upload_errors(timestamp);
CREATE INDEX idx_config_updated_at ON config(updated_at);
