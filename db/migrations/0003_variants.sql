ALTER TABLE "model_version" ADD COLUMN "variants" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "model_version" ADD COLUMN "served" text DEFAULT 'float32' NOT NULL;--> statement-breakpoint
ALTER TABLE "model_version" ADD CONSTRAINT "model_version_served_word" CHECK ("served" in ('float32', 'int8'));