-- Views for people. The view predictions is made by the program, since it lists files.

CREATE VIEW chains AS
SELECT e.entry_id, e.entry, e.profile, a.arm, a.base, a.factors, a.position AS arm_position, a.baseline, t.seed, s.position, s.stage,
       s.stage = a.main_stage AS main, g.kind,
       CASE WHEN g.kind = 'evaluate' OR list_contains(a.evaluations, s.stage) THEN s.stage END AS as_split, s.stage_id
FROM entries e JOIN arms a USING (entry_id) JOIN trials t USING (arm_id) JOIN trial_stages s USING (trial_id) JOIN stages g USING (stage_id);
COMMENT ON VIEW chains IS 'Which stage stands where: a row for each stage of each trial. Join it to anything that has a stage_id.';
COMMENT ON COLUMN chains.entry_id IS 'The entry.';
COMMENT ON COLUMN chains.entry IS '2024-06-28/first.';
COMMENT ON COLUMN chains.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN chains.arm IS 'Arm.';
COMMENT ON COLUMN chains.base IS 'The arm as the page names it: equal for all points of a sweep.';
COMMENT ON COLUMN chains.factors IS 'Factor of the sweep to the label of its value.';
COMMENT ON COLUMN chains.arm_position IS 'Place of the arm within the entry, from 1.';
COMMENT ON COLUMN chains.baseline IS 'Whether it is the baseline.';
COMMENT ON COLUMN chains.seed IS 'Seed of the trial.';
COMMENT ON COLUMN chains.position IS 'Place in the chain, from 1.';
COMMENT ON COLUMN chains.stage IS 'Name of the stage.';
COMMENT ON COLUMN chains.main IS 'Whether metrics without a stage name are read here.';
COMMENT ON COLUMN chains.kind IS 'fit, evaluate, probe, score, combine or import.';
COMMENT ON COLUMN chains.as_split IS 'What the page calls the split of a stage that measures one: its name. NULL for a stage with several.';
COMMENT ON COLUMN chains.stage_id IS 'The stage.';

CREATE VIEW curves AS
SELECT c.entry, c.profile, c.arm, c.base, c.factors, c.seed, c.stage, m.epoch, coalesce(c.as_split, m.split) AS split, m.metric, m.value
FROM chains c JOIN metrics m USING (stage_id);
COMMENT ON VIEW curves IS 'Metrics by epoch, for each stage of each trial.';
COMMENT ON COLUMN curves.entry IS '2024-06-28/first.';
COMMENT ON COLUMN curves.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN curves.arm IS 'Arm.';
COMMENT ON COLUMN curves.base IS 'The arm as the page names it: equal for all points of a sweep.';
COMMENT ON COLUMN curves.factors IS 'Factor of the sweep to the label of its value.';
COMMENT ON COLUMN curves.seed IS 'Seed of the trial.';
COMMENT ON COLUMN curves.stage IS 'Name of the stage in the chain.';
COMMENT ON COLUMN curves.epoch IS 'Epochs finished: counted from 1, within the stage.';
COMMENT ON COLUMN curves.split IS 'As the page says: train, val, or the name of an evaluate stage.';
COMMENT ON COLUMN curves.metric IS 'loss, accuracy, rmse, ...';
COMMENT ON COLUMN curves.value IS 'Its value.';

CREATE VIEW probe_curves AS
SELECT c.entry, c.profile, c.arm, c.base, c.factors, c.seed, c.stage, p.checkpoint, k.trained, k.picked, p.epoch, p.split, p.metric, p.value
FROM chains c JOIN probes p USING (stage_id) LEFT JOIN candidates k ON k.stage_id = p.stage_id AND k.checkpoint = p.checkpoint;
COMMENT ON VIEW probe_curves IS 'Metrics of heads by epoch, for each checkpoint that a probe looks at.';
COMMENT ON COLUMN probe_curves.entry IS '2024-06-28/first.';
COMMENT ON COLUMN probe_curves.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN probe_curves.arm IS 'Arm.';
COMMENT ON COLUMN probe_curves.base IS 'The arm as the page names it: equal for all points of a sweep.';
COMMENT ON COLUMN probe_curves.factors IS 'Factor of the sweep to the label of its value.';
COMMENT ON COLUMN probe_curves.seed IS 'Seed of the trial.';
COMMENT ON COLUMN probe_curves.stage IS 'Name of the probe in the chain.';
COMMENT ON COLUMN probe_curves.checkpoint IS 'The checkpoint, as the page calls it: epoch-700, best, last.';
COMMENT ON COLUMN probe_curves.trained IS 'Epoch of the fit after which it was made, counted from 1; NULL until the probe is done.';
COMMENT ON COLUMN probe_curves.picked IS 'Whether it is the one that was picked; NULL until the probe is done.';
COMMENT ON COLUMN probe_curves.epoch IS 'Epochs that the head was trained: counted from 1.';
COMMENT ON COLUMN probe_curves.split IS 'train or val.';
COMMENT ON COLUMN probe_curves.metric IS 'loss, accuracy, rmse, ...';
COMMENT ON COLUMN probe_curves.value IS 'Its value.';

CREATE VIEW probed AS
SELECT c.entry, c.profile, c.arm, c.base, c.factors, c.arm_position, c.seed, c.stage, k.position, k.checkpoint, k.file, k.trained, k.epoch,
       s.best_metric AS metric, k.value, k.picked, k.why, c.stage_id
FROM chains c JOIN candidates k USING (stage_id) JOIN stages s USING (stage_id);
COMMENT ON VIEW probed IS 'What each checkpoint that a probe looked at came to, for each trial: the best epoch of its head.';
COMMENT ON COLUMN probed.entry IS '2024-06-28/first.';
COMMENT ON COLUMN probed.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN probed.arm IS 'Arm.';
COMMENT ON COLUMN probed.base IS 'The arm as the page names it: equal for all points of a sweep.';
COMMENT ON COLUMN probed.factors IS 'Factor of the sweep to the label of its value.';
COMMENT ON COLUMN probed.arm_position IS 'Place of the arm within the entry, from 1.';
COMMENT ON COLUMN probed.seed IS 'Seed of the trial.';
COMMENT ON COLUMN probed.stage IS 'Name of the probe in the chain.';
COMMENT ON COLUMN probed.position IS 'Place among the checkpoints, from 1, as on the page.';
COMMENT ON COLUMN probed.checkpoint IS 'The checkpoint, as the page calls it: epoch-700, best, last.';
COMMENT ON COLUMN probed.file IS 'Its file in the record of the fit. Two that are one file share one head.';
COMMENT ON COLUMN probed.trained IS 'Epoch of the fit after which it was made, counted from 1.';
COMMENT ON COLUMN probed.epoch IS 'Best epoch of its head, counted from 1; the earliest of equals.';
COMMENT ON COLUMN probed.metric IS 'The metric that picks.';
COMMENT ON COLUMN probed.value IS 'Its value there.';
COMMENT ON COLUMN probed.picked IS 'Whether it is the one that was picked.';
COMMENT ON COLUMN probed.why IS 'Of the picked one: why, and which others had the same value.';
COMMENT ON COLUMN probed.stage_id IS 'The probe.';

CREATE VIEW readings AS
SELECT e.entry, e.profile, m.arm, a.base, a.factors, m.seed, m.measure, m.value, m.epoch, m.selected, m.complete, m.note
FROM measures m JOIN entries e USING (entry_id) LEFT JOIN arms a ON a.entry_id = m.entry_id AND a.arm = m.arm;
COMMENT ON VIEW readings IS 'Measures by name: one value for each trial of each arm.';
COMMENT ON COLUMN readings.entry IS '2024-06-28/first.';
COMMENT ON COLUMN readings.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN readings.arm IS 'Arm.';
COMMENT ON COLUMN readings.base IS 'The arm as the page names it: equal for all points of a sweep.';
COMMENT ON COLUMN readings.factors IS 'Factor of the sweep to the label of its value.';
COMMENT ON COLUMN readings.seed IS 'Seed of the trial.';
COMMENT ON COLUMN readings.measure IS 'Name of the measure on the page.';
COMMENT ON COLUMN readings.value IS 'What was read; NULL where there is nothing to read yet.';
COMMENT ON COLUMN readings.epoch IS 'Epoch it was read at, from 1; the middle of a window.';
COMMENT ON COLUMN readings.selected IS 'Chosen on the data that it reports, hence optimistic.';
COMMENT ON COLUMN readings.complete IS 'Every stage that it reads reached its end.';
COMMENT ON COLUMN readings.note IS 'Why there is no value, or what was adjusted.';

CREATE VIEW leaderboard AS
SELECT c.entry, c.profile, c.arm, c.base, c.factors, c.stage, coalesce(c.as_split, f.split) AS split, f.metric, count(*)::INTEGER AS n,
       avg(f.last) AS last, stddev_samp(f.last) AS last_sd, avg(f.min) AS min, avg(f.max) AS max, avg(f.kept) AS kept,
       stddev_samp(f.kept) AS kept_sd
FROM chains c JOIN finals f USING (stage_id) JOIN stages s USING (stage_id)
WHERE s.state = 'done' GROUP BY ALL;
COMMENT ON VIEW leaderboard IS 'Arms side by side: means over seeds, of stages that are done. min and max are chosen on the data they report.';
COMMENT ON COLUMN leaderboard.entry IS '2024-06-28/first.';
COMMENT ON COLUMN leaderboard.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN leaderboard.arm IS 'Arm.';
COMMENT ON COLUMN leaderboard.base IS 'The arm as the page names it: equal for all points of a sweep.';
COMMENT ON COLUMN leaderboard.factors IS 'Factor of the sweep to the label of its value.';
COMMENT ON COLUMN leaderboard.stage IS 'Name of the stage in the chain.';
COMMENT ON COLUMN leaderboard.split IS 'As the page says: train, val, or the name of an evaluate stage.';
COMMENT ON COLUMN leaderboard.metric IS 'As in metrics.';
COMMENT ON COLUMN leaderboard.n IS 'Trials.';
COMMENT ON COLUMN leaderboard.last IS 'Mean of the last values.';
COMMENT ON COLUMN leaderboard.last_sd IS 'Their standard deviation.';
COMMENT ON COLUMN leaderboard.min IS 'Mean of the lowest values.';
COMMENT ON COLUMN leaderboard.max IS 'Mean of the highest values.';
COMMENT ON COLUMN leaderboard.kept IS 'Mean of the values at the best checkpoints.';
COMMENT ON COLUMN leaderboard.kept_sd IS 'Their standard deviation.';

CREATE VIEW schedule_trace AS
SELECT c.entry, c.profile, c.arm, c.base, c.factors, c.seed, c.stage, e.epoch, e.step, e.examples, e.phase, r.key AS "group", r.value AS rate
FROM chains c JOIN epochs e USING (stage_id), LATERAL (SELECT unnest(map_entries(e.rates), recursive := true)) r;
COMMENT ON VIEW schedule_trace IS 'Learning rates and phases by epoch, a row for each group of parameters that is trained in it.';
COMMENT ON COLUMN schedule_trace.entry IS '2024-06-28/first.';
COMMENT ON COLUMN schedule_trace.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN schedule_trace.arm IS 'Arm.';
COMMENT ON COLUMN schedule_trace.base IS 'The arm as the page names it: equal for all points of a sweep.';
COMMENT ON COLUMN schedule_trace.factors IS 'Factor of the sweep to the label of its value.';
COMMENT ON COLUMN schedule_trace.seed IS 'Seed of the trial.';
COMMENT ON COLUMN schedule_trace.stage IS 'Name of the stage in the chain.';
COMMENT ON COLUMN schedule_trace.epoch IS 'Epochs finished: counted from 1, within the stage.';
COMMENT ON COLUMN schedule_trace.step IS 'Optimizer steps so far.';
COMMENT ON COLUMN schedule_trace.examples IS 'Training examples of the epoch.';
COMMENT ON COLUMN schedule_trace.phase IS 'Phase of training, from 0.';
COMMENT ON COLUMN schedule_trace."group" IS 'Parameter group.';
COMMENT ON COLUMN schedule_trace.rate IS 'Its learning rate at the end of the epoch.';

CREATE MACRO higher_is_better(metric) AS
  metric IN ('accuracy', 'member_accuracy', 'big_accuracy', 'disagreement', 'top5', 'precision', 'recall', 'f1', 'pearson', 'spearman');
COMMENT ON MACRO higher_is_better IS 'Whether higher values of a metric are better; of the others lower ones are.';

CREATE VIEW phases AS
WITH span AS (
  SELECT p.*, lead(p.epoch) OVER next AS onward, lead(p.why) OVER next AS reason FROM phase_starts p
  WINDOW next AS (PARTITION BY p.stage_id ORDER BY p.epoch, p.phase)),
spent AS (
  SELECT s.stage_id, s.attempt, s.phase, s.epoch AS began, greatest(coalesce(s.onward - 1, g.epochs), s.epoch - 1) AS ended,
         CASE WHEN json_type(g.settings, '$.thaw') = 'OBJECT' THEN s.groups END AS groups,
         s.trainable, s.tensors, s.parameters, s.rate, s.restored, coalesce(s.reason, g.ended) AS ended_by,
         coalesce(g.settings->>'$.thaw.monitor', g.settings->>'$.keep.best') AS monitor
  FROM span s JOIN stages g USING (stage_id)),
best AS (
  SELECT s.stage_id, s.phase, s.began,
         CASE WHEN higher_is_better(any_value(m.metric)) THEN max({'value': m.value, 'epoch': -m.epoch}) FILTER (isfinite(m.value))
         ELSE min({'value': m.value, 'epoch': m.epoch}) FILTER (isfinite(m.value)) END AS at
  FROM spent s JOIN metrics m ON m.stage_id = s.stage_id AND m.split = split_part(s.monitor, '/', 1)
    AND m.metric = split_part(s.monitor, '/', 2) AND m.epoch BETWEEN s.began AND s.ended
  GROUP BY ALL)
SELECT c.entry, c.profile, c.arm, c.base, c.factors, c.arm_position, c.seed, c.stage, c.position, c.stage_id, s.attempt, s.phase, s.began,
       s.ended, (s.ended - s.began + 1)::INTEGER AS epochs, s.groups, s.trainable, s.tensors, s.parameters, s.rate, s.restored, s.ended_by,
       s.monitor, b.at.value AS best, abs(b.at.epoch)::INTEGER AS best_epoch
FROM chains c JOIN spent s USING (stage_id) LEFT JOIN best b ON b.stage_id = s.stage_id AND b.phase = s.phase AND b.began = s.began;
COMMENT ON VIEW phases IS 'Phases of training of each trial: from when to when, what was thawed, why each ended, the best in it. A fit without phases has one.';
COMMENT ON COLUMN phases.entry IS '2024-06-28/first.';
COMMENT ON COLUMN phases.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN phases.arm IS 'Arm.';
COMMENT ON COLUMN phases.base IS 'The arm as the page names it: equal for all points of a sweep.';
COMMENT ON COLUMN phases.factors IS 'Factor of the sweep to the label of its value.';
COMMENT ON COLUMN phases.arm_position IS 'Place of the arm within the entry, from 1.';
COMMENT ON COLUMN phases.seed IS 'Seed of the trial.';
COMMENT ON COLUMN phases.stage IS 'Name of the stage in the chain.';
COMMENT ON COLUMN phases.position IS 'Place in the chain, from 1.';
COMMENT ON COLUMN phases.stage_id IS 'The stage.';
COMMENT ON COLUMN phases.attempt IS 'The attempt in which the phase began.';
COMMENT ON COLUMN phases.phase IS 'Number of the phase, from 0.';
COMMENT ON COLUMN phases.began IS 'Its first epoch, counted from 1, within the stage.';
COMMENT ON COLUMN phases.ended IS 'Its last epoch; of a phase that is going on, the last one finished.';
COMMENT ON COLUMN phases.epochs IS 'Epochs spent in it so far.';
COMMENT ON COLUMN phases.groups IS 'What it thawed: names of groups, layers or tensors of the model; NULL for a fit without a thaw.';
COMMENT ON COLUMN phases.trainable IS 'What is trained in it.';
COMMENT ON COLUMN phases.tensors IS 'Tensors of parameters that are trained in it; NULL where the run did not say.';
COMMENT ON COLUMN phases.parameters IS 'Parameters that are trained in it; NULL where the run did not say.';
COMMENT ON COLUMN phases.rate IS 'Highest learning rate that was planned, while it lasts, for what it thawed for the first time; NULL where that is nothing.';
COMMENT ON COLUMN phases.restored IS 'Epoch whose weights it began with, where restore_best went back; NULL where it went on.';
COMMENT ON COLUMN phases.ended_by IS 'max_epochs, until_epoch or patience; of the last one what ended the fit: planned epochs, early stopping. NULL while it goes on.';
COMMENT ON COLUMN phases.monitor IS 'The metric that is watched: that of the thaw, else the one that chooses the best checkpoint.';
COMMENT ON COLUMN phases.best IS 'Its best value in the phase; NULL where it was never a finite number.';
COMMENT ON COLUMN phases.best_epoch IS 'The epoch of that value, within the stage; the earliest of equals.';

CREATE VIEW provenance AS
SELECT c.entry, c.profile, c.arm, c.seed, c.stage, s.key, s.state, a.attempt, a.first_epoch, a.started, a.finished, a.how, a.host,
       v.python, v.torch, v.lightning, v.timm, v.numpy, v.git_commit, v.source_hash, a.threads, a.device, a.precision, a.tf32,
       a.loader_workers, s.sources AS fingerprints, c.position, c.arm_position
FROM chains c JOIN stages s USING (stage_id) LEFT JOIN attempts a ON a.stage_id = s.stage_id
LEFT JOIN environments v USING (environment_id);
COMMENT ON VIEW provenance IS 'Where numbers come from: a row for each attempt at each stage of each trial.';
COMMENT ON COLUMN provenance.entry IS '2024-06-28/first.';
COMMENT ON COLUMN provenance.profile IS 'Profile; empty at full scale.';
COMMENT ON COLUMN provenance.arm IS 'Arm.';
COMMENT ON COLUMN provenance.seed IS 'Seed of the trial.';
COMMENT ON COLUMN provenance.stage IS 'Name of the stage in the chain.';
COMMENT ON COLUMN provenance.key IS 'Key of the stage, and its folder under runs/.';
COMMENT ON COLUMN provenance.state IS 'State of the stage.';
COMMENT ON COLUMN provenance.attempt IS 'Number of the attempt; NULL when there is none.';
COMMENT ON COLUMN provenance.first_epoch IS 'First epoch it trained, counted from 1.';
COMMENT ON COLUMN provenance.started IS 'When it began.';
COMMENT ON COLUMN provenance.finished IS 'When it ended.';
COMMENT ON COLUMN provenance.how IS 'How it ended.';
COMMENT ON COLUMN provenance.host IS 'Machine.';
COMMENT ON COLUMN provenance.python IS 'Version of Python.';
COMMENT ON COLUMN provenance.torch IS 'Version of torch.';
COMMENT ON COLUMN provenance.lightning IS 'Version of lightning.';
COMMENT ON COLUMN provenance.timm IS 'Version of timm.';
COMMENT ON COLUMN provenance.numpy IS 'Version of numpy.';
COMMENT ON COLUMN provenance.git_commit IS 'Commit of the project.';
COMMENT ON COLUMN provenance.source_hash IS 'Hash of the source of this program.';
COMMENT ON COLUMN provenance.threads IS 'Threads of torch.';
COMMENT ON COLUMN provenance.device IS 'Kind of device.';
COMMENT ON COLUMN provenance.precision IS 'Precision of arithmetic.';
COMMENT ON COLUMN provenance.tf32 IS 'Whether TF32 was allowed.';
COMMENT ON COLUMN provenance.loader_workers IS 'Processes that loaded data.';
COMMENT ON COLUMN provenance.fingerprints IS 'Data sources: name and fingerprint.';
COMMENT ON COLUMN provenance.position IS 'Place in the chain, from 1.';
COMMENT ON COLUMN provenance.arm_position IS 'Place of the arm within the entry, from 1.';
