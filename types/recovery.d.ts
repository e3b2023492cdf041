// The options and reports of checking and repairing a ledger.

import type { CallOptions } from '../index.js';

/** A table of schema version 1. */
export type LedgerTable = 'upload_sessions' | 'file_hashes' | 'upload_errors' | 'config' | 'schema_migrations';

/** The options of `checkIntegrity`, which its signal stops. */
export interface IntegrityOptions extends CallOptions {
  /** Whether every index is compared with its table, too. @default false */
  deep?: boolean | undefined;
  /**
   * After how many milliseconds the check ends with what it has found: the report then has a
   * remark `not_finished`.
   * @default no end
   */
  max_ms?: number | undefined;
}

/**
 * What a finding is about:
 *
 * - `unreadable`: the file cannot be read as a database
 * - `structure`: a complaint of SQLite's about trees and indexes
 * - `file_size`: the file's size differs from what its header says
 * - `log_header`: the write-ahead log's header is damaged
 * - `log_frames`: frames after the last valid commit are lost: committed work out of reach
 * - `log_tail`: the log's last frame is incomplete, as a process that dies leaves it, or damaged
 * - `orphans`: rows refer to rows that do not exist
 * - `schema`: tables of the ledger are missing
 * - `counter`, `timestamp`, `hash`, `setting`, `last_vacuum`: values that are none
 * - `not_finished`: the check ended when `max_ms` were over
 */
export type FindingKind =
  | 'unreadable'
  | 'structure'
  | 'file_size'
  | 'log_header'
  | 'log_frames'
  | 'log_tail'
  | 'orphans'
  | 'schema'
  | 'counter'
  | 'timestamp'
  | 'hash'
  | 'setting'
  | 'last_vacuum'
  | 'not_finished';

/** One thing that a check found. */
export interface IntegrityFinding {
  kind: FindingKind;
  /** A fault is damage or a contradiction; a remark is worth knowing of a sound file. */
  severity: 'fault' | 'remark';
  table?: LedgerTable;
  /** How many rows, frames or pages. */
  count?: number;
  /** The same in words, without any value of a row. */
  message: string;
}

/** What a check found. */
export interface IntegrityReport {
  /** Whether there is no fault among the findings. */
  ok: boolean;
  findings: IntegrityFinding[];
}

/** How far a repair is, in pages. */
export interface RepairProgress {
  done: number;
  total: number;
}

/** The options of `repair`. */
export interface RepairOptions {
  /**
   * Whether only the report is wanted: nothing is written, and the file may be in use.
   * @default false
   */
  dry_run?: boolean | undefined;
  /** Hears now and then how far it is, and at its end; never after the promise has settled. */
  onProgress?: ((progress: RepairProgress) => void) | undefined;
}

/** What a repair got of one table. */
export interface TableRepair {
  table: LedgerTable;
  /** Rows found through the table's tree. */
  by_tree: number;
  /** Rows found on pages that no tree reached. */
  by_scan: number;
  /**
   * Rows of which only the key was left, in an index. They are kept, since a hash without its row
   * still prevents a duplicate upload: the other fields are empty, 0, or 1970-01-01.
   */
  key_only: number;
  /** Rows that were there, as an index shows, and of which nothing could be kept. */
  lost: number;
}

/** What a repair found and kept. */
export interface RepairReport {
  dry_run: boolean;
  /** Where the damaged file is now; its log has the same name and `-wal`. */
  kept?: string;
  tables: TableRepair[];
  /** Pages that could not be read as what they should be. */
  damaged_pages: number;
  /** Whether the file's own schema could be read. */
  has_schema: boolean;
  /** Frames of the log up to its last valid commit, which were taken into account. */
  log_frames: number;
  /** Frames behind it that were valid once: commits that are lost. */
  lost_log_frames: number;
  /** Tables that are no part of the ledger: they are in the kept file alone. */
  other_tables: string[];
  /** Migrations other than the ledger's own, whose steps have to be run again. */
  migrations_left_out: number[];
}
