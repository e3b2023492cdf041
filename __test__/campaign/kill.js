'use strict';

/**
 * The campaign of kills: `kill -9` at random moments of a job, and then a look at what there is.
 *
 *   node __test__/campaign/kill.js --job writer --count 100 --seed 7
 *
 * With `--control` the job lies, which must be found: a writer says that it has been promised what it has
 * only asked for, a migration notes its version first, a backup is written under its final name, a restore
 * and a repair in place.
 */

const { runCampaign } = require('./harness.js');
const { JOBS: OTHER_JOBS, killJobs } = require('./kill-job.js');
const { runKills } = require('./kill-writer.js');

/** @type {Record<string, (options: import('./harness.js').Options) => Promise<import('./harness.js').Outcome>>} */
const JOBS = {
  writer: async ({ control, peer, ...options }) => {
    const lie = /** @type {const} */ ({ manner: 'premature', lanes: 1, untilFault: true });
    const { figures, faults } = await runKills({ ...options, writer: peer, ...(control ? lie : {}) });
    return { count: figures.kills, faults, figures };
  },
};
for (const job of OTHER_JOBS) {
  JOBS[job] = ({ seed, count, control }) => killJobs({ job, seed, count, isLying: control });
}

runCampaign({
  usual: 1000,
  more: { job: 'writer' },
  run: (options) => {
    const job = JOBS[options.more.job];
    if (!job) throw new RangeError(`--job must be one of ${Object.keys(JOBS).join(', ')}`);
    return job(options);
  },
});
