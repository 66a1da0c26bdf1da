-- Which request made an endpoint, and what it asked: a client that did not hear the answer asks again under the same key.
alter table kit.webhook_endpoints add column request_key text, add column request_hash text;
