/** `make clean`, once the state of a checkout is gone: what root keeps outside of it for Postgres goes, too. */
import { ordinaryUser, removeForgotten } from '../parts/unprivileged.ts'

if (ordinaryUser()) await removeForgotten()
