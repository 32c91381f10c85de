// The pages on which people label, review and watch campaigns: over one server and in one browser, since each costs seconds.
import './shared-bed.js';
import './labeling.js';
import './review.js';
import './campaign.js';
