-- What failed is looked for and replayed among all that arrived in a month.
create index webhook_deliveries_failed on kit.webhook_deliveries (endpoint_id, number) where state = 'failed';
