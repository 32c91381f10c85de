ALTER TABLE "label_task" DROP CONSTRAINT "label_task_reason_word";--> statement-breakpoint
ALTER TABLE "label_batch" ALTER COLUMN "run" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "label_batch" ALTER COLUMN "node" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "annotation" ADD COLUMN "source" jsonb;--> statement-breakpoint
ALTER TABLE "label_batch" ADD COLUMN "origin" jsonb;--> statement-breakpoint
ALTER TABLE "label_task" ADD COLUMN "source" jsonb;--> statement-breakpoint
ALTER TABLE "label_batch" ADD CONSTRAINT "label_batch_asker" CHECK (("run" is null) = ("node" is null));--> statement-breakpoint
ALTER TABLE "label_task" ADD CONSTRAINT "label_task_reason_word" CHECK ("reason" in ('strategy', 'explore', 'named'));