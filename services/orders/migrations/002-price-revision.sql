-- Prices are the catalogue's, and come by its events: an older event must not overwrite a newer one.
ALTER TABLE price ADD COLUMN revision bigint NOT NULL DEFAULT 1;
