-- Many arms at once: by group and epoch, the 10 %, 50 % and 90 % quantiles of the arms' means over seeds.
-- $1 to $11 as in seeds.sql; $12 and $13 as in means.sql; $14 the group of each that is wanted, in step.
WITH wanted AS (
  SELECT unnest($3::VARCHAR[]) AS arm, unnest($4::VARCHAR[]) AS stage, unnest($5::VARCHAR[]) AS split, unnest($6::VARCHAR[]) AS metric,
         unnest($7::VARCHAR[]) AS asked, unnest($8::INTEGER[]) AS shift, unnest($14::VARCHAR[]) AS family),
curve AS (
  SELECT w.asked, w.arm, w.family, w.stage, c.seed, list(m.epoch + w.shift ORDER BY m.epoch) AS xs, list(m.value ORDER BY m.epoch) AS raw
  FROM wanted w JOIN chains c ON c.arm = w.arm AND c.stage = w.stage
  JOIN metrics m ON m.stage_id = c.stage_id AND (c.as_split IS NOT NULL OR m.split = w.split) AND m.metric = w.metric
  WHERE c.entry = $1 AND c.profile = $2 AND ($9::INTEGER[] IS NULL OR list_contains($9::INTEGER[], c.seed))
  GROUP BY ALL),
point AS (
  SELECT asked, arm, family, unnest(xs) AS x,
         unnest(CASE WHEN $12::INTEGER > 0 THEN smooth_savgol(raw, $12::INTEGER) WHEN $13::DOUBLE > 0 THEN smooth_ema(raw, $13::DOUBLE)
                ELSE raw END) AS value
  FROM curve),
mean AS (SELECT asked, arm, family, x, avg(value) AS value FROM point WHERE isfinite(value) AND x BETWEEN $10 AND $11 GROUP BY ALL)
SELECT asked, family, x, quantile_cont(value, [0.1, 0.5, 0.9]) AS q, count(*)::INTEGER AS n FROM mean GROUP BY asked, family, x ORDER BY ALL
