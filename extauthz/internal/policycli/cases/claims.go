package cases

import (
	"fmt"
	"time"
)

// convertMembers gives the members of tctx or rctx, which come from YAML, the types that
// they have in a verified token: whole numbers are int64. It changes them in place.
func convertMembers(members map[string]any) (err error) {
	for name := range members {
		if members[name], err = convertValue(members[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func convertValue(value any) (_ any, err error) {
	switch value := value.(type) {
	case int:
		return int64(value), nil
	case map[string]any:
		return value, convertMembers(value)
	case []any:
		for i := range value {
			if value[i], err = convertValue(value[i]); err != nil {
				return nil, err
			}
		}
	case string, bool, int64, float64:
	case time.Time:
		return nil, fmt.Errorf("YAML takes %s for a time: put it in quotes", value.Format(time.DateOnly))
	default:
		return nil, fmt.Errorf("a token cannot contain %v", value)
	}
	return value, nil
}
