ALTER TABLE "label_task" DROP CONSTRAINT "label_task_reason_word";--> statement-breakpoint
ALTER TABLE "label" ADD COLUMN "relabel" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "given" text;--> statement-breakpoint
ALTER TABLE "label_task" ADD CONSTRAINT "label_task_reason_word" CHECK ("reason" in ('strategy', 'explore', 'named', 'suspect', 'audit'));