// The records: what a row of each table is, and what a caller gives to write one.

import type { CallOptions, DatabaseError } from '../index.js';

/** How far an upload session has come. */
export type SessionStatus = 'running' | 'completed' | 'paused' | 'failed';

/** Where a file was uploaded to. */
export type UploadService = 'photos' | 'drive';

/** One run over one chat's files. */
export interface UploadSession {
  /** A UUID unless it was given. */
  id: string;
  /** The chat whose files are uploaded. */
  chat_id: string;
  /** The chat's name, for people. */
  chat_name: string;
  /** When it began, ISO 8601. */
  start_time: string;
  /** When it last changed, ISO 8601. */
  last_update: string;
  /** How many files it is to handle. */
  total_files: number;
  /** How many of them are done, however they ended. */
  processed_files: number;
  /** How many were uploaded. */
  success_count: number;
  /** How many failed. */
  error_count: number;
  /** How many were known already. */
  duplicate_count: number;
  /** How far it has come. */
  status: SessionStatus;
  /** The file behind which it can go on. */
  last_processed_file?: string;
  /** When the row was made, ISO 8601. */
  created_at: string;
}

/** What `createSession` takes. Counters are whole numbers from 0 to 2^53-1. */
export interface NewUploadSession {
  /** The chat whose files are uploaded. */
  chat_id: string;
  /** The chat's name, for people. */
  chat_name: string;
  /** ISO 8601. */
  start_time: string;
  /** ISO 8601. */
  last_update: string;
  /** How many files it is to handle. */
  total_files: number;
  /** @default 0 */
  processed_files?: number | null;
  /** @default 0 */
  success_count?: number | null;
  /** @default 0 */
  error_count?: number | null;
  /** @default 0 */
  duplicate_count?: number | null;
  /** @default 'running' */
  status?: SessionStatus | null;
  /** @default none */
  last_processed_file?: string | null;
  /** @default a new UUID */
  id?: string | null;
  /** @default now */
  created_at?: string | null;
}

/** What `updateSession` can set; `last_update` becomes now unless it is given. */
export interface UploadSessionChanges {
  /** @default unchanged */
  chat_id?: string;
  /** @default unchanged */
  chat_name?: string;
  /** @default unchanged */
  start_time?: string;
  /** @default now */
  last_update?: string;
  /** @default unchanged */
  total_files?: number;
  /** @default unchanged */
  processed_files?: number;
  /** @default unchanged */
  success_count?: number;
  /** @default unchanged */
  error_count?: number;
  /** @default unchanged */
  duplicate_count?: number;
  /** @default unchanged */
  status?: SessionStatus;
  /** `null` clears it. @default unchanged */
  last_processed_file?: string | null;
}

/** What `incrementSession` adds; negative numbers take away. */
export interface UploadSessionDeltas {
  /** @default 0 */
  total_files?: number | null;
  /** @default 0 */
  processed_files?: number | null;
  /** @default 0 */
  success_count?: number | null;
  /** @default 0 */
  error_count?: number | null;
  /** @default 0 */
  duplicate_count?: number | null;
}

/** One uploaded file, known by its content's hash. */
export interface FileHash {
  /** SHA-256 in lower-case hex by custom; any text that is not empty. */
  hash: string;
  /** Where it was found. */
  file_path: string;
  /** Its name without the folder. */
  file_name: string;
  /** Its size in bytes. */
  file_size: number;
  /** What it is, such as `image/jpeg`. */
  mime_type: string;
  /** Where it was uploaded to. */
  upload_service: UploadService;
  /** The service's own id. */
  upload_id?: string;
  /** The chat that it is from. */
  chat_id: string;
  /** When it was uploaded, ISO 8601. */
  uploaded_at: string;
}

/** What `addFileHash` and, many at once, `addFileHashes` take. */
export interface NewFileHash extends Omit<FileHash, 'upload_id' | 'uploaded_at'> {
  /** @default none */
  upload_id?: string | null;
  /** @default now */
  uploaded_at?: string | null;
}

/** What to do when the hash is recorded already. */
export interface AddFileHashOptions extends CallOptions {
  /**
   * `'ignore'` keeps the row that is there, `'replace'` overwrites it in its place.
   * @default reject with `SQLITE_CONSTRAINT_PRIMARYKEY`
   */
  onConflict?: 'ignore' | 'replace' | null;
}

/** One failure of one file. */
export interface UploadError {
  /** Given by the ledger, in ascending order. */
  id: number;
  /** The session in which it happened. */
  session_id: string;
  /** The file that failed. */
  file_path: string;
  /** A word of yours for its kind. */
  error_type: string;
  /** What went wrong. */
  error_message: string;
  /** How often the file was tried again. */
  retry_count: number;
  /** When it was logged, ISO 8601. */
  timestamp: string;
}

/** What `logError` and, many at once, `logErrors` take. */
export interface NewUploadError {
  /** A session that exists. */
  session_id: string;
  /** The file that failed. */
  file_path: string;
  /** A word of yours for its kind. */
  error_type: string;
  /** What went wrong. */
  error_message: string;
  /** @default 0 */
  retry_count?: number | null;
}

/** One setting. */
export interface ConfigRecord {
  /** Its name. */
  key: string;
  /** Its value as JSON text. */
  value: string;
  /** When it was last set, ISO 8601. */
  updated_at: string;
}

/** One applied migration. */
export interface SchemaVersion {
  /** The version that it brought the schema to. */
  version: number;
  /** When it was applied, ISO 8601. */
  applied_at: string;
  /** What it did. */
  description?: string;
}

/** What the ledger holds, in numbers. */
export interface DatabaseStats {
  /** Sessions of every status. */
  totalSessions: number;
  /** Sessions that are `running`. */
  activeSessions: number;
  /** Distinct uploaded files: rows of `file_hashes`. */
  totalFiles: number;
  /** The sum of the sessions' `success_count`. */
  successfulUploads: number;
  /** The sum of the sessions' `error_count`. */
  failedUploads: number;
  /** The sum of the sessions' `duplicate_count`. */
  duplicatesFound: number;
  /** Pages times page size, in bytes. */
  databaseSize: number;
  /** When `vacuum` last ended, ISO 8601. */
  lastVacuum?: string;
  /** The size of the write-ahead log's file, in bytes; 0 without one. */
  walSize: number;
  /** Why the last checkpoint failed, until one has moved the whole log into the file. */
  checkpointError?: DatabaseError;
}
