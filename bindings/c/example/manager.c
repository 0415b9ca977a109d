/* Calls a backend as an agent, for the user who is signed in: manager ~/.codex/auth.json https://… */
#include <agentassert_curl.h>
#include <agentassert_file.h>
#include <curl/curl.h>
#include <stdio.h>

/* Makes a call that carries an authorization. */
static CURLcode call(const char *base_url, const agentassert_authorization *authorization)
{
	agentassert_header headers[AGENTASSERT_HEADERS];
	char text[8192];
	struct curl_slist *list = NULL;
	CURL *curl = curl_easy_init();
	for (size_t i = agentassert_authorization_headers(authorization, headers); i > 0; i--) {
		snprintf(text, sizeof text, "%s: %s", headers[i - 1].name, headers[i - 1].value);
		list = curl_slist_append(list, text);
	}
	snprintf(text, sizeof text, "%s/codex/models", base_url);
	curl_easy_setopt(curl, CURLOPT_URL, text);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	CURLcode code = curl_easy_perform(curl);
	curl_slist_free_all(list);
	curl_easy_cleanup(curl);
	return code;
}

int main(int count, char **arguments)
{
	agentassert *core = NULL;
	agentassert_store *store = NULL;
	agentassert_manager *manager = NULL;
	agentassert_authorization *authorization = NULL;
	agentassert_error error = {"usage", "manager AUTH_JSON BASE_URL"};
	int failed = count != 3 || agentassert_open(NULL, &core, &error) != 0 ||
		     agentassert_file_store(arguments[1], NULL, &store, &error) != 0;
	agentassert_manager_options options = AGENTASSERT_MANAGER_OPTIONS;
	options.base_url = failed ? NULL : arguments[2];
	options.store = store;
	options.agent_identity = 1;
	options.send = agentassert_curl_send;
	failed = failed || agentassert_manager_open(core, &options, &manager, &error) != 0 ||
		 agentassert_manager_authorization(manager, "models", NULL, 30000, &authorization, &error) != 0;
	if (failed) {
		fprintf(stderr, "%s: %s\n", error.code, error.message);
	} else {
		printf("The call carries %s (%s)\n", authorization->mode, authorization->reason);
		printf("%s\n", curl_easy_strerror(call(agentassert_manager_base_url(manager), authorization)));
	}
	agentassert_authorization_free(authorization);
	agentassert_manager_free(manager);
	agentassert_store_close(store);
	agentassert_close(core);
	return failed;
}
