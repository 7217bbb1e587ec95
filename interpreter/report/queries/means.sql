-- Means over seeds by epoch, each seed's curve smoothed first where asked. Values that are not finite are left out.
-- $1 to $11 as in seeds.sql; $12 Savitzky-Golay window (0: none), $13 weight of the past (0: no moving average).
WITH wanted AS (
  SELECT unnest($3::VARCHAR[]) AS arm, unnest($4::VARCHAR[]) AS stage, unnest($5::VARCHAR[]) AS split, unnest($6::VARCHAR[]) AS metric,
         unnest($7::VARCHAR[]) AS asked, unnest($8::INTEGER[]) AS shift),
curve AS (
  SELECT w.asked, w.arm, w.stage, c.arm_position, c.position, c.seed, list(m.epoch + w.shift ORDER BY m.epoch) AS xs,
         list(m.value ORDER BY m.epoch) AS raw
  FROM wanted w JOIN chains c ON c.arm = w.arm AND c.stage = w.stage
  JOIN metrics m ON m.stage_id = c.stage_id AND (c.as_split IS NOT NULL OR m.split = w.split) AND m.metric = w.metric
  WHERE c.entry = $1 AND c.profile = $2 AND ($9::INTEGER[] IS NULL OR list_contains($9::INTEGER[], c.seed))
  GROUP BY ALL),
point AS (
  SELECT asked, arm, stage, arm_position, position, seed, unnest(xs) AS x,
         unnest(CASE WHEN $12::INTEGER > 0 THEN smooth_savgol(raw, $12::INTEGER) WHEN $13::DOUBLE > 0 THEN smooth_ema(raw, $13::DOUBLE)
                ELSE raw END) AS value
  FROM curve)
SELECT asked, arm, stage, x, avg(value) AS mean, stddev_samp(value) AS sd, count(*)::INTEGER AS n
FROM point WHERE isfinite(value) AND x BETWEEN $10 AND $11
GROUP BY asked, arm, arm_position, stage, position, x ORDER BY asked, arm_position, position, x
