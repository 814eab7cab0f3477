// Generated from protos/askback/v1 by scripts/gen_web_types.py. Do not edit.
//
// The messages of the contract as ProtoJSON. A field without a value is left out, so every field is optional.
// 64-bit integers are text: compare them with BigInt. A newer server may send names of enum values that are
// not in these unions, and fields that are not in these interfaces.

/** RFC 3339, for example "2026-11-29T13:40:00.123Z". */
export type Timestamp = string;

/** Seconds, for example "3.5s". */
export type Duration = string;

export type Authentication =
  | "AUTHENTICATION_UNSPECIFIED"
  | "AUTHENTICATION_TOKEN"
  | "AUTHENTICATION_CERTIFICATE"
  | "AUTHENTICATION_NONE";

export type MembershipSource =
  | "MEMBERSHIP_SOURCE_UNSPECIFIED"
  | "MEMBERSHIP_SOURCE_CREDENTIALS"
  | "MEMBERSHIP_SOURCE_ADMIN";

export interface WhoAmIRequest {
}

export interface WhoAmIResponse {
  readonly subject?: string;
  readonly namespaces?: readonly string[];
  readonly allNamespaces?: boolean;
  readonly roles?: readonly string[];
  readonly groups?: readonly string[];
  readonly admin?: boolean;
  readonly authentication?: Authentication;
  readonly expireTime?: Timestamp;
  readonly serverTime?: Timestamp;
}

export interface EndSessionRequest {
  readonly sessionId?: string;
  readonly expireTime?: Timestamp;
}

export interface EndSessionResponse {
}

export interface Membership {
  readonly group?: string;
  readonly source?: MembershipSource;
  readonly fromTime?: Timestamp;
  readonly untilTime?: Timestamp;
}

export interface Person {
  readonly subject?: string;
  readonly displayName?: string;
  readonly email?: string;
  readonly timeZone?: string;
  readonly language?: string;
  readonly memberships?: readonly Membership[];
  readonly lastSeenTime?: Timestamp;
  readonly active?: boolean;
  readonly createTime?: Timestamp;
  readonly updateTime?: Timestamp;
}

export interface Group {
  readonly name?: string;
  readonly complete?: boolean;
  readonly members?: number;
}

export interface PersonGroups {
  readonly names?: readonly string[];
}

export interface SetPersonRequest {
  readonly namespace?: string;
  readonly subject?: string;
  readonly displayName?: string;
  readonly email?: string;
  readonly timeZone?: string;
  readonly language?: string;
  readonly groups?: PersonGroups;
  readonly active?: boolean;
  readonly validateOnly?: boolean;
}

export interface SetPersonResponse {
  readonly person?: Person;
}

export interface ListPeopleRequest {
  readonly namespace?: string;
  readonly group?: string;
  readonly atTime?: Timestamp;
  readonly query?: string;
  readonly includeInactive?: boolean;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

export interface ListPeopleResponse {
  readonly people?: readonly Person[];
  readonly nextPageToken?: string;
}

export interface DeletePersonRequest {
  readonly namespace?: string;
  readonly subject?: string;
}

export interface DeletePersonResponse {
}

export interface SetGroupRequest {
  readonly namespace?: string;
  readonly name?: string;
  readonly complete?: boolean;
}

export interface SetGroupResponse {
  readonly group?: Group;
}

export interface ListGroupsRequest {
  readonly namespace?: string;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

export interface ListGroupsResponse {
  readonly groups?: readonly Group[];
  readonly nextPageToken?: string;
}

export type ErrorReason =
  | "ERROR_REASON_UNSPECIFIED"
  | "ERROR_REASON_INVALID_FIELD"
  | "ERROR_REASON_BAD_PAGE_TOKEN"
  | "ERROR_REASON_BAD_HELLO"
  | "ERROR_REASON_JOB_NOT_FOUND"
  | "ERROR_REASON_PROMPT_NOT_FOUND"
  | "ERROR_REASON_SESSION_NOT_FOUND"
  | "ERROR_REASON_ID_REUSED"
  | "ERROR_REASON_ILLEGAL_STATE"
  | "ERROR_REASON_LEASE_LOST"
  | "ERROR_REASON_PROMPT_CLOSED"
  | "ERROR_REASON_PROMPT_STALE"
  | "ERROR_REASON_ANSWER_INVALID"
  | "ERROR_REASON_PROMPT_CLAIMED"
  | "ERROR_REASON_VERSION_MISMATCH"
  | "ERROR_REASON_UNAUTHENTICATED"
  | "ERROR_REASON_PERMISSION_DENIED"
  | "ERROR_REASON_LIMIT_EXCEEDED"
  | "ERROR_REASON_QUEUE_FULL"
  | "ERROR_REASON_CONTENTION"
  | "ERROR_REASON_DRAINING"
  | "ERROR_REASON_STORAGE_UNAVAILABLE"
  | "ERROR_REASON_INTERNAL"
  | "ERROR_REASON_NOT_TEST_MODE"
  | "ERROR_REASON_SESSION_ENDED"
  | "ERROR_REASON_PERSON_NOT_FOUND"
  | "ERROR_REASON_EXCLUDED"
  | "ERROR_REASON_ANSWER_NOT_FOUND"
  | "ERROR_REASON_DELEGATION_REFUSED"
  | "ERROR_REASON_ABSENCE_NOT_FOUND"
  | "ERROR_REASON_RULE_NOT_FOUND"
  | "ERROR_REASON_RULE_CHANGED"
  | "ERROR_REASON_RECEIPT_UNAVAILABLE"
  | "ERROR_REASON_AUDIT_FAILED"
  | "ERROR_REASON_UNKNOWN_METHOD"
  | "ERROR_REASON_SERVICE_NOT_FOUND";

export type PromptOrder =
  | "PROMPT_ORDER_UNSPECIFIED"
  | "PROMPT_ORDER_URGENCY"
  | "PROMPT_ORDER_CLOSE_TIME";

export type DelegationMode =
  | "DELEGATION_MODE_UNSPECIFIED"
  | "DELEGATION_MODE_TRANSFER"
  | "DELEGATION_MODE_ADD"
  | "DELEGATION_MODE_RETURN";

export interface PromptFilter {
  readonly jobTypes?: readonly string[];
  readonly kinds?: readonly string[];
  readonly labels?: { readonly [key: string]: string };
  readonly jobId?: string;
  readonly states?: readonly PromptState[];
  readonly groups?: readonly string[];
  readonly unattended?: boolean;
  readonly idSuffix?: string;
  readonly jobIdSuffix?: string;
  readonly mine?: boolean;
  readonly overdue?: boolean;
  readonly answeredBy?: string;
  readonly expiresBefore?: Timestamp;
  readonly anyLabels?: readonly LabelCondition[];
}

export interface ListPromptsRequest {
  readonly namespace?: string;
  readonly filter?: PromptFilter;
  readonly pageSize?: number;
  readonly pageToken?: string;
  readonly order?: PromptOrder;
}

export interface ListPromptsResponse {
  readonly prompts?: readonly Prompt[];
  readonly nextPageToken?: string;
  readonly totalSize?: number;
}

export interface GetPromptRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
}

export interface GetPromptResponse {
  readonly prompt?: Prompt;
}

export interface GetReceiptRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
}

export interface GetReceiptResponse {
  readonly receipt?: string;
}

export interface WatchPromptsRequest {
  readonly namespace?: string;
  readonly filter?: PromptFilter;
  readonly resumeToken?: string;
}

export interface WatchPromptsResponse {
  readonly events?: readonly PromptEvent[];
}

export interface PromptEvent {
  readonly upserted?: PromptUpserted;
  readonly closed?: PromptClosed;
  readonly removed?: PromptRemoved;
  readonly caughtUp?: PromptsCaughtUp;
  readonly resetView?: PromptsReset;
  readonly bookmark?: PromptsBookmark;
}

export interface PromptUpserted {
  readonly prompt?: Prompt;
}

export interface PromptClosed {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly version?: string;
  readonly resolution?: Resolution;
  readonly answerId?: string;
}

export interface PromptRemoved {
  readonly promptId?: string;
  readonly version?: string;
}

export interface PromptsCaughtUp {
  readonly resumeToken?: string;
  readonly openPrompts?: number;
}

export interface PromptsReset {
  readonly reason?: string;
  readonly historyLost?: boolean;
}

export interface PromptsBookmark {
  readonly resumeToken?: string;
}

export interface AnswerPromptRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
  readonly answerId?: string;
  readonly revision?: number;
  readonly decision?: Decision;
  readonly valuesJson?: string;
  readonly edits?: readonly Edit[];
  readonly comment?: string;
  readonly test?: boolean;
  readonly shownDigest?: string;
}

export interface AnswerPromptResponse {
  readonly result?: AnswerResult;
}

export interface AnswerResult {
  readonly status?: AnswerStatus;
  readonly replayed?: boolean;
  readonly answerId?: string;
  readonly prompt?: Prompt;
  readonly violations?: readonly FieldViolation[];
}

export interface AnswerPromptsRequest {
  readonly items?: readonly AnswerPromptsItem[];
  readonly decision?: Decision;
  readonly valuesJson?: string;
  readonly edits?: readonly Edit[];
  readonly comment?: string;
  readonly batchId?: string;
}

export interface AnswerPromptsItem {
  readonly promptId?: string;
  readonly revision?: number;
  readonly answerId?: string;
  readonly shownDigest?: string;
}

export interface AnswerPromptsResponse {
  readonly results?: readonly AnswerPromptsResult[];
}

export interface AnswerPromptsResult {
  readonly promptId?: string;
  readonly answerId?: string;
  readonly status?: AnswerStatus;
  readonly replayed?: boolean;
  readonly violations?: readonly FieldViolation[];
  readonly state?: PromptState;
  readonly version?: string;
  readonly error?: FrameError;
}

export interface OverridePromptRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
  readonly answerId?: string;
  readonly revision?: number;
  readonly decision?: Decision;
  readonly valuesJson?: string;
  readonly edits?: readonly Edit[];
  readonly comment?: string;
  readonly shownDigest?: string;
}

export interface OverridePromptResponse {
  readonly result?: AnswerResult;
}

export interface WithdrawAnswerRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
  readonly answerId?: string;
}

export interface WithdrawAnswerResponse {
  readonly prompt?: Prompt;
}

export interface ClaimPromptRequest {
  readonly promptId?: string;
  readonly duration?: Duration;
}

export interface ClaimPromptResponse {
  readonly prompt?: Prompt;
}

export interface ReleasePromptRequest {
  readonly promptId?: string;
}

export interface ReleasePromptResponse {
  readonly prompt?: Prompt;
}

export interface DelegatePromptRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
  readonly mode?: DelegationMode;
  readonly user?: string;
  readonly group?: string;
  readonly comment?: string;
}

export interface DelegatePromptResponse {
  readonly prompt?: Prompt;
}

export interface ReroutePromptRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
  readonly audience?: Audience;
  readonly priority?: number;
  readonly timeout?: Duration;
  readonly deadline?: Timestamp;
  readonly escalation?: Escalation;
  readonly reason?: string;
}

export interface ReroutePromptResponse {
  readonly prompt?: Prompt;
}

export interface CancelPromptRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
  readonly reason?: string;
}

export interface CancelPromptResponse {
  readonly prompt?: Prompt;
}

export interface ListAnswersRequest {
  readonly promptId?: string;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

export interface ListAnswersResponse {
  readonly answers?: readonly AnswerRecord[];
  readonly nextPageToken?: string;
}

export interface ConverseRequest {
  readonly frames?: readonly ConverseClientFrame[];
}

export interface ConverseResponse {
  readonly frames?: readonly ConverseServerFrame[];
}

export interface ConverseClientFrame {
  readonly ref?: string;
  readonly hello?: ConverseHello;
  readonly heartbeat?: ConverseHeartbeat;
  readonly credit?: ConverseCredit;
  readonly goodbye?: ConverseGoodbye;
  readonly answerPrompt?: AnswerPromptRequest;
  readonly claimPrompt?: ClaimPromptRequest;
  readonly releasePrompt?: ReleasePromptRequest;
  readonly cancelPrompt?: CancelPromptRequest;
  readonly listPrompts?: ListPromptsRequest;
  readonly getPrompt?: GetPromptRequest;
  readonly listAnswers?: ListAnswersRequest;
  readonly withdrawAnswer?: WithdrawAnswerRequest;
  readonly overridePrompt?: OverridePromptRequest;
  readonly answerPrompts?: AnswerPromptsRequest;
  readonly delegatePrompt?: DelegatePromptRequest;
  readonly reroutePrompt?: ReroutePromptRequest;
  readonly getReceipt?: GetReceiptRequest;
}

export interface ConverseServerFrame {
  readonly ref?: string;
  readonly welcome?: ConverseWelcome;
  readonly heartbeat?: ConverseHeartbeat;
  readonly goAway?: ConverseGoAway;
  readonly error?: FrameError;
  readonly promptEvent?: PromptEvent;
  readonly answerPrompt?: AnswerPromptResponse;
  readonly claimPrompt?: ClaimPromptResponse;
  readonly releasePrompt?: ReleasePromptResponse;
  readonly cancelPrompt?: CancelPromptResponse;
  readonly listPrompts?: ListPromptsResponse;
  readonly getPrompt?: GetPromptResponse;
  readonly listAnswers?: ListAnswersResponse;
  readonly withdrawAnswer?: WithdrawAnswerResponse;
  readonly overridePrompt?: OverridePromptResponse;
  readonly answerPrompts?: AnswerPromptsResponse;
  readonly delegatePrompt?: DelegatePromptResponse;
  readonly reroutePrompt?: ReroutePromptResponse;
  readonly getReceipt?: GetReceiptResponse;
}

export interface ConverseHello {
  readonly namespace?: string;
  readonly consoleId?: string;
  readonly instanceId?: string;
  readonly filter?: PromptFilter;
  readonly credit?: number;
  readonly resumeToken?: string;
}

export interface ConverseWelcome {
  readonly sessionId?: string;
  readonly heartbeatInterval?: Duration;
  readonly maxInFlight?: number;
  readonly maxMessageBytes?: number;
  readonly replica?: string;
  readonly testMode?: boolean;
}

export interface ConverseHeartbeat {
  readonly resumeToken?: string;
  readonly time?: Timestamp;
}

export interface ConverseCredit {
  readonly prompts?: number;
}

export interface ConverseGoodbye {
}

export interface ConverseGoAway {
  readonly reason?: string;
  readonly after?: Duration;
}

export type JobState =
  | "JOB_STATE_UNSPECIFIED"
  | "JOB_STATE_PENDING"
  | "JOB_STATE_RUNNING"
  | "JOB_STATE_PENDING_HITL"
  | "JOB_STATE_COMPLETED"
  | "JOB_STATE_FAILED"
  | "JOB_STATE_CANCELLED";

export type JobEventType =
  | "JOB_EVENT_TYPE_UNSPECIFIED"
  | "JOB_EVENT_TYPE_JOB_CREATED"
  | "JOB_EVENT_TYPE_JOB_LEASED"
  | "JOB_EVENT_TYPE_JOB_PROGRESSED"
  | "JOB_EVENT_TYPE_JOB_RELEASED"
  | "JOB_EVENT_TYPE_JOB_LEASE_LOST"
  | "JOB_EVENT_TYPE_JOB_RETRIED"
  | "JOB_EVENT_TYPE_JOB_COMPLETED"
  | "JOB_EVENT_TYPE_JOB_FAILED"
  | "JOB_EVENT_TYPE_JOB_CANCEL_REQUESTED"
  | "JOB_EVENT_TYPE_JOB_CANCELLED"
  | "JOB_EVENT_TYPE_JOB_UPDATED"
  | "JOB_EVENT_TYPE_JOB_DELETED"
  | "JOB_EVENT_TYPE_CHECKPOINT_SAVED"
  | "JOB_EVENT_TYPE_UNDERSTANDING_UPDATED"
  | "JOB_EVENT_TYPE_PROMPT_ASKED"
  | "JOB_EVENT_TYPE_PROMPT_AMENDED"
  | "JOB_EVENT_TYPE_PROMPT_CLAIMED"
  | "JOB_EVENT_TYPE_PROMPT_RELEASED"
  | "JOB_EVENT_TYPE_PROMPT_ANSWERED"
  | "JOB_EVENT_TYPE_PROMPT_EXPIRED"
  | "JOB_EVENT_TYPE_PROMPT_CANCELLED"
  | "JOB_EVENT_TYPE_PROMPT_SUPERSEDED"
  | "JOB_EVENT_TYPE_PROMPT_CONSUMED"
  | "JOB_EVENT_TYPE_ANSWER_REFUSED"
  | "JOB_EVENT_TYPE_ANSWER_LATE"
  | "JOB_EVENT_TYPE_PROMPT_ESCALATED"
  | "JOB_EVENT_TYPE_PROMPT_REMINDED"
  | "JOB_EVENT_TYPE_PROMPT_UNATTENDED"
  | "JOB_EVENT_TYPE_PROMPT_ATTENDED"
  | "JOB_EVENT_TYPE_JOB_CARRIED_OVER"
  | "JOB_EVENT_TYPE_PROMPT_REWORDED"
  | "JOB_EVENT_TYPE_JOB_WAITS"
  | "JOB_EVENT_TYPE_PROMPT_EXCLUDED"
  | "JOB_EVENT_TYPE_PROMPT_VOTED"
  | "JOB_EVENT_TYPE_VOTE_WITHDRAWN"
  | "JOB_EVENT_TYPE_PROMPT_DELEGATED"
  | "JOB_EVENT_TYPE_DELEGATION_ENDED"
  | "JOB_EVENT_TYPE_PROMPT_REROUTED"
  | "JOB_EVENT_TYPE_SUBSTITUTE_SKIPPED"
  | "JOB_EVENT_TYPE_PROMPT_RULED"
  | "JOB_EVENT_TYPE_WITHHELD";

export interface Job {
  readonly jobId?: string;
  readonly namespace?: string;
  readonly jobType?: string;
  readonly userId?: string;
  readonly state?: JobState;
  readonly inputJson?: string;
  readonly resultJson?: string;
  readonly failure?: Failure;
  readonly progress?: Progress;
  readonly priority?: number;
  readonly labels?: { readonly [key: string]: string };
  readonly promoted?: boolean;
  readonly attempt?: number;
  readonly maxAttempts?: number;
  readonly rounds?: number;
  readonly openPrompts?: number;
  readonly openBlockingPrompts?: number;
  readonly version?: string;
  readonly token?: string;
  readonly workerId?: string;
  readonly createTime?: Timestamp;
  readonly updateTime?: Timestamp;
  readonly completeTime?: Timestamp;
  readonly readyTime?: Timestamp;
  readonly cancelRequestTime?: Timestamp;
  readonly retention?: Duration;
  readonly purgeTime?: Timestamp;
  readonly requestId?: string;
  readonly retriedFromJobId?: string;
  readonly workerless?: boolean;
  readonly timeout?: Duration;
  readonly expireTime?: Timestamp;
  readonly runTimeout?: Duration;
  readonly runExpireTime?: Timestamp;
  readonly rootJobId?: string;
  readonly cancelReason?: string;
  readonly cancelledBy?: string;
  readonly headOnly?: boolean;
}

export interface Failure {
  readonly code?: string;
  readonly message?: string;
  readonly detailsJson?: string;
}

export interface Progress {
  readonly done?: string;
  readonly total?: string;
  readonly percent?: number | string;
  readonly message?: string;
}

export interface JobEvent {
  readonly jobId?: string;
  readonly seq?: string;
  readonly type?: JobEventType;
  readonly actor?: string;
  readonly time?: Timestamp;
  readonly promptId?: string;
  readonly state?: JobState;
  readonly dataJson?: string;
}

export interface LabelCondition {
  readonly name?: string;
  readonly values?: readonly string[];
}

export interface DeepUnderstanding {
  readonly jobId?: string;
  readonly questionsAskedJson?: string;
  readonly answersJson?: string;
  readonly researchPerformedJson?: string;
  readonly understandingSummary?: string;
  readonly userProblem?: string;
  readonly readinessScore?: number | string;
  readonly complete?: boolean;
  readonly version?: string;
  readonly updateTime?: Timestamp;
}

export type Consistency =
  | "CONSISTENCY_UNSPECIFIED"
  | "CONSISTENCY_STRONG";

export type RetryKeep =
  | "RETRY_KEEP_UNSPECIFIED"
  | "RETRY_KEEP_ALL"
  | "RETRY_KEEP_NOTHING";

export interface CreateJobRequest {
  readonly namespace?: string;
  readonly requestId?: string;
  readonly jobType?: string;
  readonly userId?: string;
  readonly inputJson?: string;
  readonly priority?: number;
  readonly labels?: { readonly [key: string]: string };
  readonly maxAttempts?: number;
  readonly retention?: Duration;
  readonly prompt?: PromptContent;
  readonly startDelay?: Duration;
  readonly startTime?: Timestamp;
  readonly timeout?: Duration;
  readonly runTimeout?: Duration;
}

export interface CreateJobResponse {
  readonly job?: Job;
  readonly replayed?: boolean;
  readonly prompt?: Prompt;
}

export interface GetJobRequest {
  readonly jobId?: string;
  readonly consistency?: Consistency;
}

export interface GetJobResponse {
  readonly job?: Job;
  readonly openPrompts?: readonly Prompt[];
}

export interface JobFilter {
  readonly states?: readonly JobState[];
  readonly jobTypes?: readonly string[];
  readonly userIds?: readonly string[];
  readonly labels?: { readonly [key: string]: string };
  readonly createdAfter?: Timestamp;
  readonly createdBefore?: Timestamp;
  readonly idSuffix?: string;
  readonly anyLabels?: readonly LabelCondition[];
}

export interface ListJobsRequest {
  readonly namespace?: string;
  readonly filter?: JobFilter;
  readonly pageSize?: number;
  readonly pageToken?: string;
  readonly count?: boolean;
}

export interface ListJobsResponse {
  readonly jobs?: readonly Job[];
  readonly nextPageToken?: string;
  readonly totalSize?: number;
}

export interface WatchJobRequest {
  readonly jobId?: string;
  readonly afterSeq?: string;
}

export interface WatchJobResponse {
  readonly events?: readonly JobEvent[];
}

export interface WatchJobsRequest {
  readonly namespace?: string;
  readonly filter?: JobFilter;
  readonly resumeToken?: string;
}

export interface WatchJobsResponse {
  readonly jobs?: readonly Job[];
  readonly removedJobIds?: readonly string[];
  readonly caughtUp?: boolean;
  readonly reset?: string;
  readonly resumeToken?: string;
}

export interface UpdateJobRequest {
  readonly job?: Job;
  readonly updateMask?: string;
  readonly expectedVersion?: string;
}

export interface UpdateJobResponse {
  readonly job?: Job;
}

export interface CancelJobRequest {
  readonly jobId?: string;
  readonly reason?: string;
}

export interface CancelJobResponse {
  readonly job?: Job;
}

export interface RetryJobRequest {
  readonly jobId?: string;
  readonly requestId?: string;
  readonly keep?: RetryKeep;
}

export interface RetryJobResponse {
  readonly job?: Job;
  readonly replayed?: boolean;
}

export interface DeleteJobRequest {
  readonly jobId?: string;
}

export interface DeleteJobResponse {
}

export interface GetDeepUnderstandingRequest {
  readonly jobId?: string;
}

export interface GetDeepUnderstandingResponse {
  readonly deepUnderstanding?: DeepUnderstanding;
}

export interface UpdateDeepUnderstandingRequest {
  readonly deepUnderstanding?: DeepUnderstanding;
  readonly updateMask?: string;
  readonly expectedVersion?: string;
  readonly token?: string;
}

export interface UpdateDeepUnderstandingResponse {
  readonly deepUnderstanding?: DeepUnderstanding;
}

export interface GetOverviewRequest {
  readonly namespace?: string;
  readonly window?: Duration;
}

export interface GetOverviewResponse {
  readonly time?: Timestamp;
  readonly waiting?: WaitingPrompts;
  readonly oldest?: readonly WaitingPrompt[];
  readonly streams?: ConnectedStreams;
  readonly activity?: Activity;
}

export interface WaitingPrompts {
  readonly total?: number;
  readonly partial?: boolean;
  readonly unattended?: number;
  readonly ageBounds?: readonly Duration[];
  readonly byAge?: readonly number[];
  readonly byKind?: readonly WaitingOfKind[];
  readonly byPriority?: readonly WaitingOfPriority[];
}

export interface WaitingOfKind {
  readonly kind?: string;
  readonly total?: number;
  readonly unattended?: number;
  readonly byAge?: readonly number[];
}

export interface WaitingOfPriority {
  readonly priority?: number;
  readonly total?: number;
  readonly unattended?: number;
  readonly byAge?: readonly number[];
}

export interface WaitingPrompt {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly jobType?: string;
  readonly kind?: string;
  readonly title?: string;
  readonly priority?: number;
  readonly createTime?: Timestamp;
  readonly expireTime?: Timestamp;
  readonly claimedBy?: string;
  readonly unattendedTime?: Timestamp;
}

export interface ConnectedStreams {
  readonly consoles?: number;
  readonly people?: number;
  readonly workers?: number;
}

export interface Activity {
  readonly startTime?: Timestamp;
  readonly countedTime?: Timestamp;
  readonly step?: Duration;
  readonly total?: ActivityCounts;
  readonly answerTimes?: AnswerTimes;
  readonly points?: readonly ActivityPoint[];
  readonly byType?: readonly ActivityOfType[];
}

export interface ActivityPoint {
  readonly time?: Timestamp;
  readonly counts?: ActivityCounts;
  readonly answerTimes?: AnswerTimes;
}

export interface ActivityOfType {
  readonly jobType?: string;
  readonly kind?: string;
  readonly counts?: ActivityCounts;
  readonly answerTimes?: AnswerTimes;
}

export interface ActivityCounts {
  readonly jobsCreated?: string;
  readonly jobsCompleted?: string;
  readonly jobsFailed?: string;
  readonly jobsCancelled?: string;
  readonly promptsAsked?: string;
  readonly promptsAnswered?: string;
  readonly promptsDefaulted?: string;
  readonly promptsCarried?: string;
  readonly promptsExpired?: string;
  readonly promptsWithdrawn?: string;
}

export interface AnswerTimes {
  readonly count?: string;
  readonly p50?: Duration;
  readonly p90?: Duration;
  readonly p99?: Duration;
}

export type RuleVerdict =
  | "RULE_VERDICT_UNSPECIFIED"
  | "RULE_VERDICT_ANSWER"
  | "RULE_VERDICT_REFUSE"
  | "RULE_VERDICT_ASK"
  | "RULE_VERDICT_ROUTE"
  | "RULE_VERDICT_NO_MATCH"
  | "RULE_VERDICT_UNKNOWN";

export type PeopleVerdict =
  | "PEOPLE_VERDICT_UNSPECIFIED"
  | "PEOPLE_VERDICT_ACCEPT"
  | "PEOPLE_VERDICT_EDIT"
  | "PEOPLE_VERDICT_REJECT"
  | "PEOPLE_VERDICT_REVISE"
  | "PEOPLE_VERDICT_OTHER"
  | "PEOPLE_VERDICT_NONE";

export type RuleLint =
  | "RULE_LINT_UNSPECIFIED"
  | "RULE_LINT_NEVER_MATCHES"
  | "RULE_LINT_SHADOWED"
  | "RULE_LINT_REDUNDANT";

export interface CreateRuleRequest {
  readonly namespace?: string;
  readonly requestId?: string;
  readonly spec?: RuleSpec;
  readonly validateOnly?: boolean;
}

export interface CreateRuleResponse {
  readonly rule?: Rule;
}

export interface UpdateRuleRequest {
  readonly namespace?: string;
  readonly ruleId?: string;
  readonly spec?: RuleSpec;
  readonly enabled?: boolean;
  readonly expectedRevision?: string;
}

export interface UpdateRuleResponse {
  readonly rule?: Rule;
}

export interface DeleteRuleRequest {
  readonly namespace?: string;
  readonly ruleId?: string;
}

export interface DeleteRuleResponse {
}

export interface ListRulesRequest {
  readonly namespace?: string;
  readonly includeDeleted?: boolean;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

export interface ListRulesResponse {
  readonly rules?: readonly Rule[];
  readonly nextPageToken?: string;
}

export interface RuleSample {
  readonly promptId?: string;
  readonly title?: string;
  readonly people?: PeopleVerdict;
  readonly userId?: string;
  readonly createTime?: Timestamp;
}

export interface PreviewCell {
  readonly rule?: RuleVerdict;
  readonly people?: PeopleVerdict;
  readonly count?: number;
  readonly samples?: readonly RuleSample[];
}

export interface RuleFinding {
  readonly lint?: RuleLint;
  readonly rules?: readonly string[];
}

export interface PreviewRuleRequest {
  readonly namespace?: string;
  readonly spec?: RuleSpec;
  readonly prompts?: number;
}

export interface PreviewRuleResponse {
  readonly cells?: readonly PreviewCell[];
  readonly conflicts?: readonly RuleSample[];
  readonly prompts?: number;
  readonly findings?: readonly RuleFinding[];
}

export interface SuggestRulesRequest {
  readonly namespace?: string;
  readonly promptId?: string;
  readonly minSupport?: number;
  readonly prompts?: number;
}

export interface RuleSuggestion {
  readonly spec?: RuleSpec;
  readonly support?: number;
  readonly exceptions?: number;
  readonly users?: readonly string[];
  readonly samples?: readonly RuleSample[];
  readonly openPrompts?: number;
}

export interface SuggestRulesResponse {
  readonly suggestions?: readonly RuleSuggestion[];
}

export interface Absence {
  readonly absenceId?: string;
  readonly namespace?: string;
  readonly subject?: string;
  readonly fromTime?: Timestamp;
  readonly untilTime?: Timestamp;
  readonly substitute?: string;
  readonly comment?: string;
  readonly setBy?: string;
  readonly createTime?: Timestamp;
  readonly updateTime?: Timestamp;
}

export interface SetAbsenceRequest {
  readonly namespace?: string;
  readonly absenceId?: string;
  readonly subject?: string;
  readonly fromTime?: Timestamp;
  readonly untilTime?: Timestamp;
  readonly substitute?: string;
  readonly comment?: string;
}

export interface SetAbsenceResponse {
  readonly absence?: Absence;
}

export interface DeleteAbsenceRequest {
  readonly namespace?: string;
  readonly absenceId?: string;
}

export interface DeleteAbsenceResponse {
  readonly absence?: Absence;
}

export interface ListAbsencesRequest {
  readonly namespace?: string;
  readonly subject?: string;
  readonly includePast?: boolean;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

export interface ListAbsencesResponse {
  readonly absences?: readonly Absence[];
  readonly nextPageToken?: string;
}

export interface ListReceiptKeysRequest {
}

export interface ListReceiptKeysResponse {
  readonly jwksJson?: string;
}

export type PromptState =
  | "PROMPT_STATE_UNSPECIFIED"
  | "PROMPT_STATE_PENDING"
  | "PROMPT_STATE_ANSWERED"
  | "PROMPT_STATE_EXPIRED"
  | "PROMPT_STATE_CANCELLED"
  | "PROMPT_STATE_SUPERSEDED";

export type Decision =
  | "DECISION_UNSPECIFIED"
  | "DECISION_ACCEPT"
  | "DECISION_EDIT"
  | "DECISION_RESPOND"
  | "DECISION_REVISE"
  | "DECISION_REJECT"
  | "DECISION_DISMISS";

export type FinalAction =
  | "FINAL_ACTION_UNSPECIFIED"
  | "FINAL_ACTION_EXPIRE"
  | "FINAL_ACTION_DEFAULT"
  | "FINAL_ACTION_FAIL_JOB";

export type AnswerSource =
  | "ANSWER_SOURCE_UNSPECIFIED"
  | "ANSWER_SOURCE_HUMAN"
  | "ANSWER_SOURCE_TIMEOUT_DEFAULT"
  | "ANSWER_SOURCE_TEST"
  | "ANSWER_SOURCE_OVERRIDE"
  | "ANSWER_SOURCE_RULE";

export type AnswerStatus =
  | "ANSWER_STATUS_UNSPECIFIED"
  | "ANSWER_STATUS_ACCEPTED"
  | "ANSWER_STATUS_RECORDED"
  | "ANSWER_STATUS_CLOSED"
  | "ANSWER_STATUS_STALE"
  | "ANSWER_STATUS_INVALID";

export type DelegationCause =
  | "DELEGATION_CAUSE_UNSPECIFIED"
  | "DELEGATION_CAUSE_PERSON"
  | "DELEGATION_CAUSE_ABSENCE";

export type DelegationScope =
  | "DELEGATION_SCOPE_UNSPECIFIED"
  | "DELEGATION_SCOPE_ANYONE"
  | "DELEGATION_SCOPE_AUDIENCE"
  | "DELEGATION_SCOPE_LISTED"
  | "DELEGATION_SCOPE_NO_ONE";

export interface Prompt {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly namespace?: string;
  readonly jobType?: string;
  readonly key?: string;
  readonly round?: number;
  readonly revision?: number;
  readonly version?: string;
  readonly state?: PromptState;
  readonly content?: PromptContent;
  readonly claimedBy?: string;
  readonly claimExpireTime?: Timestamp;
  readonly createTime?: Timestamp;
  readonly updateTime?: Timestamp;
  readonly expireTime?: Timestamp;
  readonly resolution?: Resolution;
  readonly consumeTime?: Timestamp;
  readonly submissions?: number;
  readonly escalationStep?: number;
  readonly nextEscalationTime?: Timestamp;
  readonly remindCount?: number;
  readonly lastRemindTime?: Timestamp;
  readonly nextRemindTime?: Timestamp;
  readonly unattendedTime?: Timestamp;
  readonly rewording?: PromptRewording;
  readonly requestedBy?: string;
  readonly shownDigest?: string;
  readonly votes?: readonly Vote[];
  readonly voteCounts?: readonly VoteCount[];
  readonly shortfalls?: readonly ApprovalShortfall[];
  readonly delegations?: readonly Delegation[];
  readonly routed?: boolean;
}

export interface Delegation {
  readonly holder?: string;
  readonly giver?: string;
  readonly user?: string;
  readonly group?: string;
  readonly transferred?: boolean;
  readonly cause?: DelegationCause;
  readonly createTime?: Timestamp;
  readonly comment?: string;
  readonly endTime?: Timestamp;
}

export interface Vote {
  readonly answerId?: string;
  readonly userId?: string;
  readonly decision?: Decision;
  readonly outcome?: string;
  readonly valuesJson?: string;
  readonly edits?: readonly Edit[];
  readonly comment?: string;
  readonly createTime?: Timestamp;
  readonly groups?: readonly string[];
  readonly onBehalfOf?: string;
  readonly ruleId?: string;
  readonly ruleRevision?: string;
}

export interface VoteCount {
  readonly outcome?: string;
  readonly decision?: Decision;
  readonly votes?: number;
  readonly required?: number;
  readonly missing?: readonly GroupApproval[];
}

export interface ApprovalShortfall {
  readonly group?: string;
  readonly required?: number;
  readonly known?: number;
}

export interface PromptRewording {
  readonly digest?: string;
  readonly askedDigest?: string;
}

export interface PromptContent {
  readonly kind?: string;
  readonly title?: string;
  readonly body?: string;
  readonly contents?: readonly PromptPart[];
  readonly questions?: QuestionForm;
  readonly schemaJson?: string;
  readonly derivedSchemaJson?: string;
  readonly decisions?: readonly DecisionOption[];
  readonly priority?: number;
  readonly audience?: Audience;
  readonly labels?: { readonly [key: string]: string };
  readonly blocking?: boolean;
  readonly finalAction?: FinalAction;
  readonly defaultAnswer?: DefaultAnswer;
  readonly metadataJson?: string;
  readonly timeout?: Duration;
  readonly escalation?: readonly EscalationStep[];
  readonly reminders?: Reminders;
  readonly deadline?: Timestamp;
  readonly correction?: Correction;
  readonly exclude?: Exclusion;
  readonly approval?: Approval;
  readonly delegation?: DelegationPolicy;
  readonly groupKey?: string;
}

export interface Approval {
  readonly required?: number;
  readonly perGroup?: readonly GroupApproval[];
  readonly rejectAt?: number;
  readonly shared?: boolean;
  readonly rulesMayFill?: number;
}

export interface GroupApproval {
  readonly group?: string;
  readonly required?: number;
}

export interface Exclusion {
  readonly requester?: boolean;
  readonly answerersOf?: readonly string[];
  readonly users?: readonly string[];
  readonly groups?: readonly string[];
  readonly hide?: boolean;
}

export interface Correction {
  readonly key?: string;
  readonly violations?: readonly FieldViolation[];
}

export interface DelegationPolicy {
  readonly scope?: DelegationScope;
  readonly users?: readonly string[];
  readonly groups?: readonly string[];
}

export interface Escalation {
  readonly steps?: readonly EscalationStep[];
}

export interface EscalationStep {
  readonly after?: Duration;
  readonly to?: Audience;
  readonly replace?: boolean;
  readonly raisePriority?: number;
}

export interface Reminders {
  readonly after?: Duration;
  readonly every?: Duration;
  readonly maxCount?: number;
}

export interface PromptPart {
  readonly contentId?: string;
  readonly title?: string;
  readonly mediaType?: string;
  readonly text?: string;
  readonly url?: string;
  readonly editable?: boolean;
}

export interface QuestionForm {
  readonly questions?: readonly Question[];
}

export interface Question {
  readonly questionId?: string;
  readonly title?: string;
  readonly help?: string;
  readonly required?: boolean;
  readonly rationale?: string;
  readonly boolean?: BooleanInput;
  readonly single?: SingleInput;
  readonly multi?: MultiInput;
  readonly text?: TextInput;
  readonly integer?: IntegerInput;
  readonly number?: NumberInput;
  readonly date?: DateInput;
}

export interface Option {
  readonly value?: string;
  readonly title?: string;
  readonly description?: string;
  readonly recommended?: boolean;
}

export interface BooleanInput {
  readonly defaultValue?: boolean;
}

export interface SingleInput {
  readonly options?: readonly Option[];
  readonly defaultValue?: string;
  readonly allowOther?: boolean;
}

export interface MultiInput {
  readonly options?: readonly Option[];
  readonly defaultValues?: readonly string[];
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly allowOther?: boolean;
}

export interface TextInput {
  readonly defaultValue?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly multiline?: boolean;
}

export interface IntegerInput {
  readonly defaultValue?: string;
  readonly minimum?: string;
  readonly maximum?: string;
}

export interface NumberInput {
  readonly defaultValue?: number | string;
  readonly minimum?: number | string;
  readonly maximum?: number | string;
}

export interface DateInput {
  readonly defaultValue?: string;
  readonly minimum?: string;
  readonly maximum?: string;
}

export interface DecisionOption {
  readonly decision?: Decision;
  readonly label?: string;
  readonly commentRequired?: boolean;
}

export interface Audience {
  readonly users?: readonly string[];
  readonly groups?: readonly string[];
}

export interface DefaultAnswer {
  readonly decision?: Decision;
  readonly valuesJson?: string;
  readonly comment?: string;
}

export interface Edit {
  readonly contentId?: string;
  readonly text?: string;
}

export interface Answer {
  readonly answerId?: string;
  readonly decision?: Decision;
  readonly valuesJson?: string;
  readonly edits?: readonly Edit[];
  readonly comment?: string;
  readonly source?: AnswerSource;
  readonly userId?: string;
  readonly revision?: number;
  readonly createTime?: Timestamp;
  readonly batchId?: string;
  readonly onBehalfOf?: string;
  readonly ruleId?: string;
  readonly ruleRevision?: string;
}

export interface Resolution {
  readonly state?: PromptState;
  readonly answer?: Answer;
  readonly actor?: string;
  readonly reason?: string;
  readonly time?: Timestamp;
}

export interface AnswerRecord {
  readonly answer?: Answer;
  readonly status?: AnswerStatus;
  readonly violations?: readonly FieldViolation[];
}

export interface FieldViolation {
  readonly field?: string;
  readonly description?: string;
}

export type RuleState =
  | "RULE_STATE_UNSPECIFIED"
  | "RULE_STATE_PROPOSED"
  | "RULE_STATE_ACTIVE"
  | "RULE_STATE_OFF"
  | "RULE_STATE_EXPIRED"
  | "RULE_STATE_USED_UP"
  | "RULE_STATE_DELETED";

export interface RuleMatch {
  readonly jobTypes?: readonly string[];
  readonly kinds?: readonly string[];
  readonly labels?: { readonly [key: string]: string };
  readonly expression?: string;
}

export interface RuleAnswer {
  readonly decision?: Decision;
  readonly valuesJson?: string;
  readonly comment?: string;
}

export interface RuleRefusal {
  readonly comment?: string;
}

export interface RuleAsk {
}

export interface RuleRoute {
  readonly audience?: Audience;
  readonly approval?: Approval;
  readonly priority?: number;
  readonly timeout?: Duration;
}

export interface RuleExample {
  readonly content?: PromptContent;
  readonly jobType?: string;
  readonly requestedBy?: string;
  readonly key?: string;
}

export interface RuleSpec {
  readonly name?: string;
  readonly reason?: string;
  readonly match?: RuleMatch;
  readonly unless?: string;
  readonly answer?: RuleAnswer;
  readonly refuse?: RuleRefusal;
  readonly ask?: RuleAsk;
  readonly route?: RuleRoute;
  readonly matching?: readonly RuleExample[];
  readonly notMatching?: readonly RuleExample[];
  readonly expireTime?: Timestamp;
  readonly maxUses?: string;
}

export interface Rule {
  readonly ruleId?: string;
  readonly namespace?: string;
  readonly state?: RuleState;
  readonly revision?: string;
  readonly spec?: RuleSpec;
  readonly author?: string;
  readonly authorisedBy?: string;
  readonly uses?: string;
  readonly newestRevision?: string;
  readonly proposedRevision?: string;
  readonly proposed?: RuleSpec;
  readonly proposedBy?: string;
  readonly proposalJobId?: string;
  readonly createTime?: Timestamp;
  readonly updateTime?: Timestamp;
}

export interface FrameError {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly metadata?: { readonly [key: string]: string };
  readonly violations?: readonly FieldViolation[];
  readonly retryDelay?: Duration;
}

export interface LeaseJobsRequest {
  readonly namespace?: string;
  readonly workerId?: string;
  readonly jobTypes?: readonly string[];
  readonly maxJobs?: number;
  readonly wait?: Duration;
  readonly sessionId?: string;
  readonly sessionSecret?: string;
}

export interface LeaseJobsResponse {
  readonly sessionId?: string;
  readonly sessionSecret?: string;
  readonly expireTime?: Timestamp;
  readonly jobs?: readonly LeasedJob[];
}

export interface LeasedJob {
  readonly job?: Job;
  readonly token?: string;
  readonly prompts?: readonly Prompt[];
  readonly checkpoints?: readonly Checkpoint[];
  readonly more?: boolean;
}

export interface Checkpoint {
  readonly key?: string;
  readonly valueJson?: string;
  readonly createTime?: Timestamp;
}

export interface ExtendLeaseRequest {
  readonly sessionId?: string;
  readonly sessionSecret?: string;
  readonly held?: WorkHeldLeases;
  readonly digest?: WorkLeaseDigest;
}

export interface ExtendLeaseResponse {
  readonly expireTime?: Timestamp;
  readonly lost?: readonly WorkHeldJob[];
  readonly leasesWanted?: boolean;
}

export interface ReportProgressRequest {
  readonly jobId?: string;
  readonly token?: string;
  readonly progress?: Progress;
  readonly milestone?: boolean;
}

export interface ReportProgressResponse {
  readonly version?: string;
}

export interface AskPromptRequest {
  readonly jobId?: string;
  readonly token?: string;
  readonly key?: string;
  readonly content?: PromptContent;
  readonly supersedesKeys?: readonly string[];
  readonly same?: boolean;
  readonly wakes?: boolean;
}

export interface AskPromptResponse {
  readonly prompt?: Prompt;
  readonly replayed?: boolean;
}

export interface AwaitPromptRequest {
  readonly promptId?: string;
  readonly jobId?: string;
  readonly key?: string;
  readonly wait?: Duration;
}

export interface AwaitPromptResponse {
  readonly prompt?: Prompt;
}

export interface AcknowledgePromptsRequest {
  readonly jobId?: string;
  readonly token?: string;
  readonly promptIds?: readonly string[];
}

export interface AcknowledgePromptsResponse {
  readonly version?: string;
}

export interface SaveCheckpointRequest {
  readonly jobId?: string;
  readonly token?: string;
  readonly key?: string;
  readonly valueJson?: string;
}

export interface SaveCheckpointResponse {
  readonly version?: string;
}

export interface ListCheckpointsRequest {
  readonly jobId?: string;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

export interface ListCheckpointsResponse {
  readonly checkpoints?: readonly Checkpoint[];
  readonly nextPageToken?: string;
}

export interface CompleteJobRequest {
  readonly jobId?: string;
  readonly token?: string;
  readonly resultJson?: string;
}

export interface CompleteJobResponse {
  readonly job?: Job;
}

export interface FailJobRequest {
  readonly jobId?: string;
  readonly token?: string;
  readonly failure?: Failure;
  readonly retryable?: boolean;
  readonly retryDelay?: Duration;
  readonly keepAttempt?: boolean;
}

export interface FailJobResponse {
  readonly job?: Job;
}

export interface ReleaseJobRequest {
  readonly jobId?: string;
  readonly token?: string;
  readonly awaitedKeys?: readonly string[];
  readonly atWork?: boolean;
}

export interface ReleaseJobResponse {
  readonly job?: Job;
}

export interface WorkRequest {
  readonly frames?: readonly WorkClientFrame[];
}

export interface WorkResponse {
  readonly frames?: readonly WorkServerFrame[];
}

export interface WorkClientFrame {
  readonly ref?: string;
  readonly hello?: WorkHello;
  readonly heartbeat?: WorkHeartbeat;
  readonly capacity?: WorkCapacity;
  readonly goodbye?: WorkGoodbye;
  readonly reportProgress?: ReportProgressRequest;
  readonly askPrompt?: AskPromptRequest;
  readonly acknowledgePrompts?: AcknowledgePromptsRequest;
  readonly saveCheckpoint?: SaveCheckpointRequest;
  readonly listCheckpoints?: ListCheckpointsRequest;
  readonly completeJob?: CompleteJobRequest;
  readonly failJob?: FailJobRequest;
  readonly releaseJob?: ReleaseJobRequest;
  readonly heldLeases?: WorkHeldLeases;
}

export interface WorkServerFrame {
  readonly ref?: string;
  readonly welcome?: WorkWelcome;
  readonly heartbeat?: WorkHeartbeat;
  readonly goAway?: WorkGoAway;
  readonly error?: FrameError;
  readonly jobLeased?: WorkJobLeased;
  readonly promptResolved?: WorkPromptResolved;
  readonly cancelRequested?: WorkCancelRequested;
  readonly leaseLost?: WorkLeaseLost;
  readonly reportProgress?: ReportProgressResponse;
  readonly askPrompt?: AskPromptResponse;
  readonly acknowledgePrompts?: AcknowledgePromptsResponse;
  readonly saveCheckpoint?: SaveCheckpointResponse;
  readonly listCheckpoints?: ListCheckpointsResponse;
  readonly completeJob?: CompleteJobResponse;
  readonly failJob?: FailJobResponse;
  readonly releaseJob?: ReleaseJobResponse;
  readonly leasesWanted?: WorkLeasesWanted;
}

export interface WorkHello {
  readonly namespace?: string;
  readonly workerId?: string;
  readonly jobTypes?: readonly string[];
  readonly capacity?: number;
  readonly sessionId?: string;
  readonly sessionSecret?: string;
  readonly heldJobs?: readonly WorkHeldJob[];
}

export interface WorkHeldJob {
  readonly jobId?: string;
  readonly token?: string;
}

export interface WorkWelcome {
  readonly sessionId?: string;
  readonly sessionSecret?: string;
  readonly heartbeatInterval?: Duration;
  readonly lostJobIds?: readonly string[];
  readonly resumed?: boolean;
  readonly replica?: string;
  readonly maxInFlight?: number;
  readonly maxMessageBytes?: number;
}

export interface WorkHeartbeat {
  readonly expireTime?: Timestamp;
  readonly received?: string;
  readonly leases?: WorkLeaseDigest;
}

export interface WorkLeaseDigest {
  readonly count?: number;
  readonly digest?: string;
}

export interface WorkLeasesWanted {
}

export interface WorkHeldLeases {
  readonly received?: string;
  readonly leases?: readonly WorkHeldJob[];
}

export interface WorkCapacity {
  readonly capacity?: number;
}

export interface WorkGoodbye {
}

export interface WorkGoAway {
  readonly reason?: string;
  readonly after?: Duration;
}

export interface WorkJobLeased {
  readonly leasedJob?: LeasedJob;
}

export interface WorkPromptResolved {
  readonly prompt?: Prompt;
  readonly lateAnswer?: boolean;
}

export interface WorkCancelRequested {
  readonly jobId?: string;
  readonly reason?: string;
}

export interface WorkLeaseLost {
  readonly jobId?: string;
  readonly token?: string;
}

/** The request and response of each unary call, by service and method. */
export interface Methods {
  "AccessService/WhoAmI": { request: WhoAmIRequest; response: WhoAmIResponse };
  "AccessService/EndSession": { request: EndSessionRequest; response: EndSessionResponse };
  "AccessService/SetPerson": { request: SetPersonRequest; response: SetPersonResponse };
  "AccessService/ListPeople": { request: ListPeopleRequest; response: ListPeopleResponse };
  "AccessService/DeletePerson": { request: DeletePersonRequest; response: DeletePersonResponse };
  "AccessService/SetGroup": { request: SetGroupRequest; response: SetGroupResponse };
  "AccessService/ListGroups": { request: ListGroupsRequest; response: ListGroupsResponse };
  "HitlService/ListPrompts": { request: ListPromptsRequest; response: ListPromptsResponse };
  "HitlService/GetPrompt": { request: GetPromptRequest; response: GetPromptResponse };
  "HitlService/AnswerPrompt": { request: AnswerPromptRequest; response: AnswerPromptResponse };
  "HitlService/AnswerPrompts": { request: AnswerPromptsRequest; response: AnswerPromptsResponse };
  "HitlService/OverridePrompt": { request: OverridePromptRequest; response: OverridePromptResponse };
  "HitlService/WithdrawAnswer": { request: WithdrawAnswerRequest; response: WithdrawAnswerResponse };
  "HitlService/ClaimPrompt": { request: ClaimPromptRequest; response: ClaimPromptResponse };
  "HitlService/ReleasePrompt": { request: ReleasePromptRequest; response: ReleasePromptResponse };
  "HitlService/DelegatePrompt": { request: DelegatePromptRequest; response: DelegatePromptResponse };
  "HitlService/ReroutePrompt": { request: ReroutePromptRequest; response: ReroutePromptResponse };
  "HitlService/CancelPrompt": { request: CancelPromptRequest; response: CancelPromptResponse };
  "HitlService/ListAnswers": { request: ListAnswersRequest; response: ListAnswersResponse };
  "HitlService/GetReceipt": { request: GetReceiptRequest; response: GetReceiptResponse };
  "JobService/CreateJob": { request: CreateJobRequest; response: CreateJobResponse };
  "JobService/GetJob": { request: GetJobRequest; response: GetJobResponse };
  "JobService/ListJobs": { request: ListJobsRequest; response: ListJobsResponse };
  "JobService/UpdateJob": { request: UpdateJobRequest; response: UpdateJobResponse };
  "JobService/CancelJob": { request: CancelJobRequest; response: CancelJobResponse };
  "JobService/RetryJob": { request: RetryJobRequest; response: RetryJobResponse };
  "JobService/DeleteJob": { request: DeleteJobRequest; response: DeleteJobResponse };
  "JobService/GetDeepUnderstanding": { request: GetDeepUnderstandingRequest; response: GetDeepUnderstandingResponse };
  "JobService/UpdateDeepUnderstanding": { request: UpdateDeepUnderstandingRequest; response: UpdateDeepUnderstandingResponse };
  "JobService/GetOverview": { request: GetOverviewRequest; response: GetOverviewResponse };
  "PolicyService/CreateRule": { request: CreateRuleRequest; response: CreateRuleResponse };
  "PolicyService/UpdateRule": { request: UpdateRuleRequest; response: UpdateRuleResponse };
  "PolicyService/DeleteRule": { request: DeleteRuleRequest; response: DeleteRuleResponse };
  "PolicyService/ListRules": { request: ListRulesRequest; response: ListRulesResponse };
  "PolicyService/PreviewRule": { request: PreviewRuleRequest; response: PreviewRuleResponse };
  "PolicyService/SuggestRules": { request: SuggestRulesRequest; response: SuggestRulesResponse };
  "PolicyService/SetAbsence": { request: SetAbsenceRequest; response: SetAbsenceResponse };
  "PolicyService/DeleteAbsence": { request: DeleteAbsenceRequest; response: DeleteAbsenceResponse };
  "PolicyService/ListAbsences": { request: ListAbsencesRequest; response: ListAbsencesResponse };
  "PolicyService/ListReceiptKeys": { request: ListReceiptKeysRequest; response: ListReceiptKeysResponse };
  "WorkerService/LeaseJobs": { request: LeaseJobsRequest; response: LeaseJobsResponse };
  "WorkerService/ExtendLease": { request: ExtendLeaseRequest; response: ExtendLeaseResponse };
  "WorkerService/ReportProgress": { request: ReportProgressRequest; response: ReportProgressResponse };
  "WorkerService/AskPrompt": { request: AskPromptRequest; response: AskPromptResponse };
  "WorkerService/AwaitPrompt": { request: AwaitPromptRequest; response: AwaitPromptResponse };
  "WorkerService/AcknowledgePrompts": { request: AcknowledgePromptsRequest; response: AcknowledgePromptsResponse };
  "WorkerService/SaveCheckpoint": { request: SaveCheckpointRequest; response: SaveCheckpointResponse };
  "WorkerService/ListCheckpoints": { request: ListCheckpointsRequest; response: ListCheckpointsResponse };
  "WorkerService/CompleteJob": { request: CompleteJobRequest; response: CompleteJobResponse };
  "WorkerService/FailJob": { request: FailJobRequest; response: FailJobResponse };
  "WorkerService/ReleaseJob": { request: ReleaseJobRequest; response: ReleaseJobResponse };
}
