-- The tables. No index and no key constraint anywhere: one writer keeps them right, and bulk loads stay fast.
-- Ids are small integers given by the writer; they differ between a grown and a rebuilt database, keys and names do not.

CREATE TABLE pages (page_id INTEGER, page VARCHAR, profile VARCHAR, title VARCHAR, file VARCHAR, text_hash VARCHAR, plan_hash VARCHAR);
COMMENT ON TABLE pages IS 'Pages of the notebook as last planned, one row for each profile they were planned with.';
COMMENT ON COLUMN pages.page_id IS 'Id of the page and profile.';
COMMENT ON COLUMN pages.page IS 'Date of the page, 2024-06-28.';
COMMENT ON COLUMN pages.profile IS 'Profile it was planned with; empty at full scale.';
COMMENT ON COLUMN pages.title IS 'Title of the page.';
COMMENT ON COLUMN pages.file IS 'Path of the page, relative to the project.';
COMMENT ON COLUMN pages.text_hash IS 'Hash of its text: runs/pages/<text_hash>.yaml is the page as it was run.';
COMMENT ON COLUMN pages.plan_hash IS 'Hash of everything this database holds of the plan: equal means nothing to write.';

CREATE TABLE entries (entry_id INTEGER, page_id INTEGER, entry VARCHAR, profile VARCHAR, name VARCHAR, title VARCHAR, notebook VARCHAR,
                      question VARCHAR, notes VARCHAR, conclusion VARCHAR, about VARCHAR, outcome JSON, line INTEGER);
COMMENT ON TABLE entries IS 'Entries of the pages.';
COMMENT ON COLUMN entries.entry_id IS 'Id of the entry and profile; it stays the same when the page is planned again.';
COMMENT ON COLUMN entries.page_id IS 'The page it is on.';
COMMENT ON COLUMN entries.entry IS 'Id as people write it: 2024-06-28/first.';
COMMENT ON COLUMN entries.profile IS 'Profile it was planned with; empty at full scale.';
COMMENT ON COLUMN entries.name IS 'Name within its page.';
COMMENT ON COLUMN entries.title IS 'Title.';
COMMENT ON COLUMN entries.notebook IS 'Notebook it belongs to; may be empty.';
COMMENT ON COLUMN entries.question IS 'What is asked.';
COMMENT ON COLUMN entries.notes IS 'Notes of the author, Markdown.';
COMMENT ON COLUMN entries.conclusion IS 'Conclusion of the author, Markdown.';
COMMENT ON COLUMN entries.about IS 'The day the work was done, where it was not the page''s; empty where it was.';
COMMENT ON COLUMN entries.outcome IS 'Work that did not end well: status (failed or abandoned), stage, error, cause, see; NULL for the rest.';
COMMENT ON COLUMN entries.line IS 'Line of the page on which it begins, from 1.';

CREATE TABLE arms (arm_id INTEGER, entry_id INTEGER, arm VARCHAR, position INTEGER, baseline BOOLEAN, chain VARCHAR[], main_stage VARCHAR,
                   evaluations VARCHAR[], given VARCHAR[], base VARCHAR, factors MAP(VARCHAR, VARCHAR));
COMMENT ON TABLE arms IS 'Arms that an entry compares. Each point of a sweep is an arm of its own.';
COMMENT ON COLUMN arms.arm_id IS 'Id of the arm.';
COMMENT ON COLUMN arms.entry_id IS 'Its entry.';
COMMENT ON COLUMN arms.arm IS 'Name; DATE/entry/arm for an arm of another entry that a claim refers to.';
COMMENT ON COLUMN arms.position IS 'Place within the entry, from 1.';
COMMENT ON COLUMN arms.baseline IS 'Whether it is the baseline.';
COMMENT ON COLUMN arms.chain IS 'Names of its stages, in order.';
COMMENT ON COLUMN arms.main_stage IS 'The stage that metrics without a stage name are read from; empty when there is none.';
COMMENT ON COLUMN arms.evaluations IS 'Names of its evaluate stages, or of combinations of such, which are their splits too.';
COMMENT ON COLUMN arms.given IS 'Stages that had one seed while others had several.';
COMMENT ON COLUMN arms.base IS 'The arm as the page names it: equal for all points of a sweep, the name itself for an arm without one.';
COMMENT ON COLUMN arms.factors IS 'Factor of the sweep to the label of its value at this point; empty for an arm without one.';

CREATE TABLE trials (trial_id INTEGER, arm_id INTEGER, seed INTEGER, levels MAP(VARCHAR, INTEGER));
COMMENT ON TABLE trials IS 'Trials: one arm at one seed.';
COMMENT ON COLUMN trials.trial_id IS 'Id of the trial.';
COMMENT ON COLUMN trials.arm_id IS 'Its arm.';
COMMENT ON COLUMN trials.seed IS 'The replicate: trials of two arms with the same seed are a pair.';
COMMENT ON COLUMN trials.levels IS 'Stage name to the seed used there.';

CREATE TABLE trial_stages (trial_id INTEGER, position INTEGER, stage VARCHAR, stage_id INTEGER);
COMMENT ON TABLE trial_stages IS 'The stages a trial walks through. One stage may serve many trials.';
COMMENT ON COLUMN trial_stages.trial_id IS 'The trial.';
COMMENT ON COLUMN trial_stages.position IS 'Place in the chain, from 1.';
COMMENT ON COLUMN trial_stages.stage IS 'Name of the stage in this chain.';
COMMENT ON COLUMN trial_stages.stage_id IS 'The stage.';

CREATE TABLE stages (stage_id INTEGER, key VARCHAR, kind VARCHAR, name VARCHAR, seed INTEGER, state VARCHAR, planned_epochs INTEGER,
                     epochs INTEGER, ended VARCHAR, attempt INTEGER, finished TIMESTAMP, best_metric VARCHAR, best_value DOUBLE,
                     best_epoch INTEGER, start VARCHAR, carried VARCHAR[], settings JSON, inputs JSON, sources JSON, error VARCHAR);
COMMENT ON TABLE stages IS 'Stages: every one that a page asks for, and every record under runs/.';
COMMENT ON COLUMN stages.stage_id IS 'Id of the stage, used by all other tables.';
COMMENT ON COLUMN stages.key IS 'What it is: the hash of everything that decides its numbers, and the name of its folder under runs/.';
COMMENT ON COLUMN stages.kind IS 'fit, evaluate, probe, score, combine or import.';
COMMENT ON COLUMN stages.name IS 'Name given by the first entry that ran it; display only.';
COMMENT ON COLUMN stages.seed IS 'Its seed.';
COMMENT ON COLUMN stages.state IS 'When last taken in: new, running, done, failed, stopped, died or unreadable.';
COMMENT ON COLUMN stages.planned_epochs IS 'Epochs planned; 0 for what does not train.';
COMMENT ON COLUMN stages.epochs IS 'Epochs finished; of an evaluation, a score stage or a combination that is done, 1; of an import, the last one of its file.';
COMMENT ON COLUMN stages.ended IS 'Why it ended: planned epochs, early stopping, imported, ...; NULL until done.';
COMMENT ON COLUMN stages.attempt IS 'The latest attempt, from 1; NULL before the first.';
COMMENT ON COLUMN stages.finished IS 'When it was done, UTC.';
COMMENT ON COLUMN stages.best_metric IS 'The metric that chose the best checkpoint.';
COMMENT ON COLUMN stages.best_value IS 'Its value there.';
COMMENT ON COLUMN stages.best_epoch IS 'The epoch of the best checkpoint, counted from 1.';
COMMENT ON COLUMN stages.start IS 'What the weights started from: random, a file, or the key of a stage; NULL where there are none.';
COMMENT ON COLUMN stages.carried IS 'What was carried over from there: encoder, head.';
COMMENT ON COLUMN stages.settings IS 'All settings it was built from.';
COMMENT ON COLUMN stages.inputs IS 'Stages it reads: role, key, checkpoint, take.';
COMMENT ON COLUMN stages.sources IS 'Data sources it reads: name, fingerprint.';
COMMENT ON COLUMN stages.error IS 'What went wrong, in one line; empty when nothing did.';

CREATE TABLE environments (environment_id INTEGER, python VARCHAR, torch VARCHAR, lightning VARCHAR, timm VARCHAR, numpy VARCHAR,
                           git_commit VARCHAR, source_hash VARCHAR, everything JSON);
COMMENT ON TABLE environments IS 'Versions that attempts ran under, each combination once.';
COMMENT ON COLUMN environments.environment_id IS 'Id of the combination.';
COMMENT ON COLUMN environments.python IS 'Version of Python.';
COMMENT ON COLUMN environments.torch IS 'Version of torch.';
COMMENT ON COLUMN environments.lightning IS 'Version of lightning.';
COMMENT ON COLUMN environments.timm IS 'Version of timm.';
COMMENT ON COLUMN environments.numpy IS 'Version of numpy.';
COMMENT ON COLUMN environments.git_commit IS 'Commit of the project; ends in + when there were changes besides.';
COMMENT ON COLUMN environments.source_hash IS 'Hash of the source of this program.';
COMMENT ON COLUMN environments.everything IS 'All of it as recorded.';

CREATE TABLE attempts (stage_id INTEGER, attempt INTEGER, first_epoch INTEGER, started TIMESTAMP, finished TIMESTAMP, how VARCHAR,
                       error VARCHAR, host VARCHAR, pid INTEGER, environment_id INTEGER, threads INTEGER, device VARCHAR, precision VARCHAR,
                       tf32 BOOLEAN, loader_workers INTEGER, numerics JSON);
COMMENT ON TABLE attempts IS 'Attempts at stages: one row for each time a process took one on.';
COMMENT ON COLUMN attempts.stage_id IS 'The stage.';
COMMENT ON COLUMN attempts.attempt IS 'Number of the attempt, from 1.';
COMMENT ON COLUMN attempts.first_epoch IS 'First epoch it trained, counted from 1: what earlier attempts said of this and later epochs is superseded.';
COMMENT ON COLUMN attempts.started IS 'When it began, UTC.';
COMMENT ON COLUMN attempts.finished IS 'When it ended, UTC.';
COMMENT ON COLUMN attempts.how IS 'How it ended: done, failed, stopped or died; NULL when it has not said.';
COMMENT ON COLUMN attempts.error IS 'What went wrong, in one line.';
COMMENT ON COLUMN attempts.host IS 'Machine it ran on.';
COMMENT ON COLUMN attempts.pid IS 'Its process there.';
COMMENT ON COLUMN attempts.environment_id IS 'Versions it ran under.';
COMMENT ON COLUMN attempts.threads IS 'Threads of torch.';
COMMENT ON COLUMN attempts.device IS 'Kind of device.';
COMMENT ON COLUMN attempts.precision IS 'Precision of arithmetic.';
COMMENT ON COLUMN attempts.tf32 IS 'Whether TF32 was allowed.';
COMMENT ON COLUMN attempts.loader_workers IS 'Processes that loaded data.';
COMMENT ON COLUMN attempts.numerics IS 'Everything recorded that can change the last digits.';

CREATE TABLE metrics (stage_id INTEGER, attempt INTEGER, epoch INTEGER, split VARCHAR, metric VARCHAR, value DOUBLE);
COMMENT ON TABLE metrics IS 'Metrics over whole splits, a row for each epoch; of a probe, those of what it picked. Epochs that a later attempt repeated are gone.';
COMMENT ON COLUMN metrics.stage_id IS 'The stage.';
COMMENT ON COLUMN metrics.attempt IS 'The attempt that wrote it.';
COMMENT ON COLUMN metrics.epoch IS 'Epochs finished: counted from 1. An evaluation, a score stage or a combination has epoch 1.';
COMMENT ON COLUMN metrics.split IS 'The part of the data: train, val or test.';
COMMENT ON COLUMN metrics.metric IS 'loss, accuracy, rmse, ...; of a score stage also difficulty, the mean of its scores.';
COMMENT ON COLUMN metrics.value IS 'Its value; NaN and infinity are kept as they came.';

CREATE TABLE finals (stage_id INTEGER, split VARCHAR, metric VARCHAR, epochs INTEGER, last_epoch INTEGER, last DOUBLE, min_epoch INTEGER,
                     min DOUBLE, max_epoch INTEGER, max DOUBLE, kept DOUBLE);
COMMENT ON TABLE finals IS 'What each metric of each stage came to: its last, lowest and highest value, and that of the best checkpoint.';
COMMENT ON COLUMN finals.stage_id IS 'The stage.';
COMMENT ON COLUMN finals.split IS 'As in metrics.';
COMMENT ON COLUMN finals.metric IS 'As in metrics.';
COMMENT ON COLUMN finals.epochs IS 'Epochs with a value.';
COMMENT ON COLUMN finals.last_epoch IS 'The last of them, counted from 1.';
COMMENT ON COLUMN finals.last IS 'Value there.';
COMMENT ON COLUMN finals.min_epoch IS 'Epoch of the lowest value, counted from 1; the earliest of equals.';
COMMENT ON COLUMN finals.min IS 'Lowest value, NaN left out.';
COMMENT ON COLUMN finals.max_epoch IS 'Epoch of the highest value, counted from 1; the earliest of equals.';
COMMENT ON COLUMN finals.max IS 'Highest value, NaN left out.';
COMMENT ON COLUMN finals.kept IS 'Value at the epoch of the best checkpoint (stages.best_epoch); NULL until the stage is done.';

CREATE TABLE probes (stage_id INTEGER, attempt INTEGER, checkpoint VARCHAR, epoch INTEGER, split VARCHAR, metric VARCHAR, value DOUBLE);
COMMENT ON TABLE probes IS 'Metrics of the heads of probes, one head for each checkpoint that is looked at. Those of the one that was picked are in metrics too.';
COMMENT ON COLUMN probes.stage_id IS 'The probe.';
COMMENT ON COLUMN probes.attempt IS 'The attempt that wrote it.';
COMMENT ON COLUMN probes.checkpoint IS 'The checkpoint, as the page calls it: epoch-700, best, last.';
COMMENT ON COLUMN probes.epoch IS 'Epochs that the head was trained: counted from 1.';
COMMENT ON COLUMN probes.split IS 'As in metrics.';
COMMENT ON COLUMN probes.metric IS 'As in metrics.';
COMMENT ON COLUMN probes.value IS 'Its value; NaN and infinity are kept as they came.';

CREATE TABLE candidates (stage_id INTEGER, attempt INTEGER, position INTEGER, checkpoint VARCHAR, file VARCHAR, trained INTEGER, epoch INTEGER,
                         value DOUBLE, picked BOOLEAN, why VARCHAR);
COMMENT ON TABLE candidates IS 'What each checkpoint that a probe looked at came to, once it has picked one.';
COMMENT ON COLUMN candidates.stage_id IS 'The probe.';
COMMENT ON COLUMN candidates.attempt IS 'The attempt that picked.';
COMMENT ON COLUMN candidates.position IS 'Place among the checkpoints, from 1, as on the page.';
COMMENT ON COLUMN candidates.checkpoint IS 'The checkpoint, as the page calls it: epoch-700, best, last.';
COMMENT ON COLUMN candidates.file IS 'Its file in the record of the fit. Two that are one file share one head.';
COMMENT ON COLUMN candidates.trained IS 'Epoch of the fit after which it was made, counted from 1.';
COMMENT ON COLUMN candidates.epoch IS 'Best epoch of its head, counted from 1, by the metric that picks; the earliest of equals. NULL where it had no finite value.';
COMMENT ON COLUMN candidates.value IS 'Value of that metric there.';
COMMENT ON COLUMN candidates.picked IS 'Whether it is the one that was picked.';
COMMENT ON COLUMN candidates.why IS 'Of the picked one: why, and which others had the same value.';

CREATE TABLE baselines (stage_id INTEGER, attempt INTEGER, rule VARCHAR, split VARCHAR, metric VARCHAR, value DOUBLE);
COMMENT ON TABLE baselines IS 'What trivial rules reach, each fitted on the training examples alone.';
COMMENT ON COLUMN baselines.stage_id IS 'The stage.';
COMMENT ON COLUMN baselines.attempt IS 'The attempt that wrote it.';
COMMENT ON COLUMN baselines.rule IS 'ignores input: always the class frequencies, or the mean, of the training targets. Others are named by the dataset: ligand_size, ...';
COMMENT ON COLUMN baselines.split IS 'As in metrics.';
COMMENT ON COLUMN baselines.metric IS 'As in metrics.';
COMMENT ON COLUMN baselines.value IS 'Value of the metric.';

CREATE TABLE metric_tables (stage_id INTEGER, attempt INTEGER, epoch INTEGER, split VARCHAR, name VARCHAR, value JSON);
COMMENT ON TABLE metric_tables IS 'Metrics that are tables, such as confusion matrices.';
COMMENT ON COLUMN metric_tables.stage_id IS 'The stage.';
COMMENT ON COLUMN metric_tables.attempt IS 'The attempt that wrote it.';
COMMENT ON COLUMN metric_tables.epoch IS 'Epoch it is of, counted from 1.';
COMMENT ON COLUMN metric_tables.split IS 'As in metrics.';
COMMENT ON COLUMN metric_tables.name IS 'confusion: a row a true class, a column a predicted one.';
COMMENT ON COLUMN metric_tables.value IS 'The table, a list of rows.';

CREATE TABLE epochs (stage_id INTEGER, attempt INTEGER, epoch INTEGER, finished TIMESTAMP, step BIGINT, examples BIGINT, phase INTEGER,
                     rates MAP(VARCHAR, DOUBLE));
COMMENT ON TABLE epochs IS 'Finished epochs.';
COMMENT ON COLUMN epochs.stage_id IS 'The stage.';
COMMENT ON COLUMN epochs.attempt IS 'The attempt that wrote it.';
COMMENT ON COLUMN epochs.epoch IS 'Epochs finished: counted from 1.';
COMMENT ON COLUMN epochs.finished IS 'When it was finished, UTC.';
COMMENT ON COLUMN epochs.step IS 'Optimizer steps so far; NULL for an import.';
COMMENT ON COLUMN epochs.examples IS 'Training examples of the epoch: fewer while a subset grows; NULL for an import.';
COMMENT ON COLUMN epochs.phase IS 'Phase of training, from 0.';
COMMENT ON COLUMN epochs.rates IS 'Parameter group to its learning rate at the end of the epoch.';

CREATE TABLE resources (stage_id INTEGER, attempt INTEGER, epoch INTEGER, resource VARCHAR, value DOUBLE);
COMMENT ON TABLE resources IS 'What an epoch cost.';
COMMENT ON COLUMN resources.stage_id IS 'The stage.';
COMMENT ON COLUMN resources.attempt IS 'The attempt that wrote it.';
COMMENT ON COLUMN resources.epoch IS 'Epoch, counted from 1.';
COMMENT ON COLUMN resources.resource IS 'seconds, it_per_s (steps a second), rss_mb (memory of the process), workers_mb (of its loader processes), wait_s (seconds that training waited for data), features_s (seconds that a probe spent on getting features), ...';
COMMENT ON COLUMN resources.value IS 'Its value.';

CREATE TABLE memory_slopes (stage_id INTEGER, attempt INTEGER, resource VARCHAR, size_mb DOUBLE, slope_mb DOUBLE, share DOUBLE, epochs INTEGER);
COMMENT ON TABLE memory_slopes IS 'How memory went over the epochs of an attempt that ended a fit: a line by least squares, after the first 5 epochs.';
COMMENT ON COLUMN memory_slopes.stage_id IS 'The stage.';
COMMENT ON COLUMN memory_slopes.attempt IS 'The attempt.';
COMMENT ON COLUMN memory_slopes.resource IS 'rss_mb or workers_mb, as in resources.';
COMMENT ON COLUMN memory_slopes.size_mb IS 'Mean size in MB.';
COMMENT ON COLUMN memory_slopes.slope_mb IS 'MB an epoch.';
COMMENT ON COLUMN memory_slopes.share IS 'The slope as a share of the size, an epoch.';
COMMENT ON COLUMN memory_slopes.epochs IS 'Epochs the line goes through.';

CREATE TABLE phase_starts (stage_id INTEGER, attempt INTEGER, epoch INTEGER, phase INTEGER, groups VARCHAR[], trainable VARCHAR[],
                           tensors INTEGER, parameters BIGINT, rate DOUBLE, restored INTEGER, why VARCHAR);
COMMENT ON TABLE phase_starts IS 'Phases of training as they began. The view phases adds how long each was and why it ended.';
COMMENT ON COLUMN phase_starts.stage_id IS 'The stage.';
COMMENT ON COLUMN phase_starts.attempt IS 'The attempt that wrote it.';
COMMENT ON COLUMN phase_starts.epoch IS 'First epoch of the phase, counted from 1.';
COMMENT ON COLUMN phase_starts.phase IS 'Number of the phase, from 0.';
COMMENT ON COLUMN phase_starts.groups IS 'What it thawed: names of groups, layers or tensors of the model.';
COMMENT ON COLUMN phase_starts.trainable IS 'What is trained in it.';
COMMENT ON COLUMN phase_starts.tensors IS 'Tensors of parameters that are trained in it; NULL where the run did not say.';
COMMENT ON COLUMN phase_starts.parameters IS 'Parameters that are trained in it; NULL where the run did not say.';
COMMENT ON COLUMN phase_starts.rate IS 'Highest learning rate that was planned, while it lasts, for what it thawed for the first time; NULL where that is nothing.';
COMMENT ON COLUMN phase_starts.restored IS 'Epoch, from 1, whose weights it went back to, by restore_best; NULL where it went on.';
COMMENT ON COLUMN phase_starts.why IS 'Why it began: start, or what ended the one before it: max_epochs, until_epoch, patience.';

CREATE TABLE findings (stage_id INTEGER, attempt INTEGER, epoch INTEGER, code VARCHAR, severity VARCHAR, text VARCHAR);
COMMENT ON TABLE findings IS 'What runs said about themselves, and what is wrong with their records.';
COMMENT ON COLUMN findings.stage_id IS 'The stage.';
COMMENT ON COLUMN findings.attempt IS 'The attempt that wrote it; NULL for a finding about the record itself.';
COMMENT ON COLUMN findings.epoch IS 'Epoch, counted from 1; NULL for a finding about the record itself.';
COMMENT ON COLUMN findings.code IS 'Stable name: constant-predictions, corrupt-line, ...';
COMMENT ON COLUMN findings.severity IS 'error, warning or note.';
COMMENT ON COLUMN findings.text IS 'In words.';

CREATE TABLE datasets (stage_id INTEGER, attempt INTEGER, dataset VARCHAR, source VARCHAR, fingerprint VARCHAR, origin VARCHAR, facts JSON);
COMMENT ON TABLE datasets IS 'Data as a stage read it.';
COMMENT ON COLUMN datasets.stage_id IS 'The stage.';
COMMENT ON COLUMN datasets.attempt IS 'The attempt that wrote it.';
COMMENT ON COLUMN datasets.dataset IS 'Name of the dataset.';
COMMENT ON COLUMN datasets.source IS 'Name of its source; embedded for data that comes with a package; NULL for an import or a combination.';
COMMENT ON COLUMN datasets.fingerprint IS 'Fingerprint of the source; NULL for what has none.';
COMMENT ON COLUMN datasets.origin IS 'Real, embedded, generated or imported from a file, in words.';
COMMENT ON COLUMN datasets.facts IS 'Counts of examples and classes, normalization, ...';

CREATE TABLE checkpoints (stage_id INTEGER, epoch INTEGER, path VARCHAR, best BOOLEAN, last BOOLEAN, bytes BIGINT);
COMMENT ON TABLE checkpoints IS 'Checkpoints that were on disk when last taken in.';
COMMENT ON COLUMN checkpoints.stage_id IS 'The stage.';
COMMENT ON COLUMN checkpoints.epoch IS 'Epoch after which it was made, counted from 1.';
COMMENT ON COLUMN checkpoints.path IS 'Path relative to the project.';
COMMENT ON COLUMN checkpoints.best IS 'Whether it is the best one; NULL until the stage is done.';
COMMENT ON COLUMN checkpoints.last IS 'Whether it is the last one; NULL until the stage is done.';
COMMENT ON COLUMN checkpoints.bytes IS 'Size.';

CREATE TABLE prediction_segments (stage_id INTEGER, split VARCHAR, path VARCHAR, targets VARCHAR, target_kind VARCHAR);
COMMENT ON TABLE prediction_segments IS 'Parquet files with predictions of stages that are done: what the view predictions reads.';
COMMENT ON COLUMN prediction_segments.stage_id IS 'The stage.';
COMMENT ON COLUMN prediction_segments.split IS 'The split they are for.';
COMMENT ON COLUMN prediction_segments.path IS 'Path relative to the project; holds epoch (from 0), row, output.';
COMMENT ON COLUMN prediction_segments.targets IS 'Path of the ids and targets: row, id, target.';
COMMENT ON COLUMN prediction_segments.target_kind IS 'one: a class or a number an example; several: a list of numbers.';

CREATE TABLE score_files (stage_id INTEGER, split VARCHAR, path VARCHAR);
COMMENT ON TABLE score_files IS 'Parquet files with the scores of score stages that are done: what the view scores reads.';
COMMENT ON COLUMN score_files.stage_id IS 'The stage.';
COMMENT ON COLUMN score_files.split IS 'The split that was scored.';
COMMENT ON COLUMN score_files.path IS 'Path relative to the project; holds row, id, difficulty.';

CREATE TABLE measures (entry_id INTEGER, arm VARCHAR, seed INTEGER, measure VARCHAR, value DOUBLE, epoch INTEGER, selected BOOLEAN,
                       complete BOOLEAN, note VARCHAR);
COMMENT ON TABLE measures IS 'Measures: one number read off each trial.';
COMMENT ON COLUMN measures.entry_id IS 'The entry.';
COMMENT ON COLUMN measures.arm IS 'Name of the arm.';
COMMENT ON COLUMN measures.seed IS 'Seed of the trial.';
COMMENT ON COLUMN measures.measure IS 'Name of the measure.';
COMMENT ON COLUMN measures.value IS 'The number; NULL where there is no data.';
COMMENT ON COLUMN measures.epoch IS 'Epoch it was read at, counted from 1; the middle of a window.';
COMMENT ON COLUMN measures.selected IS 'Whether it was chosen on the data it reports.';
COMMENT ON COLUMN measures.complete IS 'Whether every stage it reads reached its end.';
COMMENT ON COLUMN measures.note IS 'Why there is no value, or what was adjusted.';

CREATE TABLE claims (entry_id INTEGER, claim VARCHAR, kind VARCHAR, text VARCHAR, "left" VARCHAR, relation VARCHAR, "right" VARCHAR,
                     margin DOUBLE, "over" VARCHAR, why VARCHAR, hash VARCHAR, line INTEGER);
COMMENT ON TABLE claims IS 'Claims: what the author expects.';
COMMENT ON COLUMN claims.entry_id IS 'The entry.';
COMMENT ON COLUMN claims.claim IS 'Name of the claim.';
COMMENT ON COLUMN claims.kind IS 'order, likeness, value or reference.';
COMMENT ON COLUMN claims.text IS 'The claim as written.';
COMMENT ON COLUMN claims."left" IS 'Its left side.';
COMMENT ON COLUMN claims.relation IS '<, > or ~.';
COMMENT ON COLUMN claims."right" IS 'Its right side.';
COMMENT ON COLUMN claims.margin IS 'Margin of an order, range of a likeness, in units of the measure.';
COMMENT ON COLUMN claims."over" IS 'What the replicates are.';
COMMENT ON COLUMN claims.why IS 'Why it is expected.';
COMMENT ON COLUMN claims.hash IS 'Hash of what is claimed.';
COMMENT ON COLUMN claims.line IS 'Line of the page, from 1.';

CREATE TABLE verdicts (entry_id INTEGER, claim VARCHAR, state VARCHAR, effect DOUBLE, lo DOUBLE, hi DOUBLE, level DOUBLE, n INTEGER,
                       pairs STRUCT(seed INTEGER, a DOUBLE, b DOUBLE, difference DOUBLE)[], p_better DOUBLE, dz DOUBLE, method VARCHAR,
                       family INTEGER, registered BOOLEAN, registered_at TIMESTAMP,
                       confounds STRUCT(rule VARCHAR, severity VARCHAR, text VARCHAR, waived VARCHAR)[], notes VARCHAR[],
                       explanation VARCHAR, seeds_to_settle_from INTEGER, seeds_to_settle_to INTEGER);
COMMENT ON TABLE verdicts IS 'Verdicts: what came of each claim.';
COMMENT ON COLUMN verdicts.entry_id IS 'The entry.';
COMMENT ON COLUMN verdicts.claim IS 'Name of the claim.';
COMMENT ON COLUMN verdicts.state IS 'not-run, blocked, incomplete, unfair, anecdotal, supported, equivalent, contradicted or undecided.';
COMMENT ON COLUMN verdicts.effect IS 'Mean difference, left less right, in units of the measure.';
COMMENT ON COLUMN verdicts.lo IS 'Lower end of its interval.';
COMMENT ON COLUMN verdicts.hi IS 'Upper end of its interval.';
COMMENT ON COLUMN verdicts.level IS 'Level of the interval, after adjustment for the family.';
COMMENT ON COLUMN verdicts.n IS 'Replicates at the level the claim speaks of.';
COMMENT ON COLUMN verdicts.pairs IS 'The two sides and their difference at each replicate.';
COMMENT ON COLUMN verdicts.p_better IS 'Share of pairs on the claimed side.';
COMMENT ON COLUMN verdicts.dz IS 'Mean difference over its standard deviation (Cohen''s dz).';
COMMENT ON COLUMN verdicts.method IS 'How the interval was made.';
COMMENT ON COLUMN verdicts.family IS 'Claims judged together.';
COMMENT ON COLUMN verdicts.registered IS 'Whether the claim was written down before its first computable difference.';
COMMENT ON COLUMN verdicts.registered_at IS 'When it was first seen, UTC; NULL when it never was.';
COMMENT ON COLUMN verdicts.confounds IS 'Other differences between the arms, and other findings about fairness.';
COMMENT ON COLUMN verdicts.notes IS 'What else to know.';
COMMENT ON COLUMN verdicts.explanation IS 'In one sentence.';
COMMENT ON COLUMN verdicts.seeds_to_settle_from IS 'An undecided claim: seeds that might settle it, at least.';
COMMENT ON COLUMN verdicts.seeds_to_settle_to IS 'At most.';

CREATE TABLE ingested (stage_id INTEGER, bytes BIGINT, head VARCHAR, signature VARCHAR);
COMMENT ON TABLE ingested IS 'How far each record has been taken in.';
COMMENT ON COLUMN ingested.stage_id IS 'The stage.';
COMMENT ON COLUMN ingested.bytes IS 'Bytes of its events.jsonl that have been read, up to the end of a line.';
COMMENT ON COLUMN ingested.head IS 'Hash of the first line: a record that was replaced by another has a different one.';
COMMENT ON COLUMN ingested.signature IS 'Sizes and times of what the record is made of: equal means nothing new.';

CREATE TABLE migrations (name VARCHAR, applied TIMESTAMP);
COMMENT ON TABLE migrations IS 'Steps that made these tables, in order.';
COMMENT ON COLUMN migrations.name IS 'Name of the step.';
COMMENT ON COLUMN migrations.applied IS 'When it was done, UTC.';
